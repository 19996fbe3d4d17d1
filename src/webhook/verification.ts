import { randomBytes } from "node:crypto";
import type { Clock } from "../internal/clock.ts";
import { createId } from "../internal/id.ts";
import { isoTime } from "../internal/iso-time.ts";
import type { RateLimit } from "../lanes/index.ts";
import type { AttemptRecord, StoredEvent } from "../outbox/ports.ts";
import type { ActiveEndpoint } from "./active-endpoint.ts";
import { decideOutcome, defaultOutcomePolicy } from "./outcome.ts";
import type { Sender } from "./sender.ts";

/** Whether an endpoint proved that it wants webhooks. */
export interface VerificationResult {
	readonly attempt: AttemptRecord;
	readonly isVerified: boolean;
	/** It agreed to less than was asked for. */
	readonly rateLimit?: RateLimit | undefined;
}

/** The type of the request that a `challenge` endpoint has to answer. */
const verificationType = "webhook.verification";
/** The type of the request that `ping` sends. */
export const pingType = "webhook.ping";

export interface VerificationParts {
	readonly sender: Sender;
	readonly clock: Clock;
	readonly userAgent: string;
	readonly timeoutMs: number;
	readonly origin: string | undefined;
	send(endpoint: ActiveEndpoint, event: StoredEvent): Promise<AttemptRecord>;
}

/** An event of the bridge itself, which is in no store. */
export function createOwnEvent(type: string, data: unknown, nowMs: number): StoredEvent {
	return {
		...{ id: createId("evt"), type, time: isoTime(nowMs), source: "/" },
		...{ dataJson: JSON.stringify(data), metadataJson: "{}" },
	};
}

/** Asks an endpoint whether it wants webhooks, in the way that its `verify` says. */
export function verifyEndpoint(
	endpoint: ActiveEndpoint,
	parts: VerificationParts,
): Promise<VerificationResult> {
	return endpoint.settings.verify === "cloudevents"
		? askForConsent(endpoint, parts)
		: sendChallenge(endpoint, parts);
}

/** A signed request with a random text, which only who reads webhooks there can give back. */
async function sendChallenge(
	endpoint: ActiveEndpoint,
	{ send, clock }: VerificationParts,
): Promise<VerificationResult> {
	const challenge = randomBytes(24).toString("base64url");
	const attempt = await send(endpoint, createOwnEvent(verificationType, { challenge }, clock.now()));
	const isVerified = attempt.outcome === "delivered" && readChallenge(attempt.responseBody) === challenge;
	return { attempt, isVerified };
}

/** The text, or `{ "challenge": text }`. */
function readChallenge(body = ""): unknown {
	const text = body.trim();
	if (!text.startsWith("{")) return text;
	try {
		return (JSON.parse(text) as { readonly challenge?: unknown }).challenge;
	} catch {
		return undefined;
	}
}

/** https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/http-webhook.md#4-abuse-protection */
async function askForConsent(
	{ origin, path, settings }: ActiveEndpoint,
	{ sender, clock, userAgent, timeoutMs, origin: asker = "" }: VerificationParts,
): Promise<VerificationResult> {
	const { rateLimit } = settings;
	const asked = rateLimit && Math.max(1, Math.floor((rateLimit.count * 60_000) / rateLimit.perMs));
	const headers: Record<string, string> = { "user-agent": userAgent, "webhook-request-origin": asker };
	if (asked !== undefined) headers["webhook-request-rate"] = String(asked);
	const startedAtMs = clock.now();
	const result = await sender.send({
		...{ method: "OPTIONS", origin, path, headers, body: new Uint8Array(), tls: settings.tls },
		timeoutMs: settings.timeoutMs ?? timeoutMs,
	});
	const nowMs = clock.now();
	const { attempt } = decideOutcome(
		{ number: 1, startedAtMs, durationMs: nowMs - startedAtMs, nowMs, requestHeaders: headers, result },
		{ ...defaultOutcomePolicy, schedule: { delaysMs: [], jitter: 0 } },
		0,
	);
	// The status says nothing: a server that does not know of this answers OPTIONS as it likes.
	const answered = result.kind === "response" ? result.headers : {};
	const allowedOrigin = answered["webhook-allowed-origin"];
	const rate = readRate(answered["webhook-allowed-rate"]);
	const isOriginAllowed = allowedOrigin === "*" || allowedOrigin?.toLowerCase() === asker.toLowerCase();
	const isVerified = isOriginAllowed && (asked === undefined || rate !== undefined);
	if (!isVerified || rate === undefined || rate >= (asked ?? Number.POSITIVE_INFINITY)) {
		return { attempt, isVerified };
	}
	return { attempt, isVerified, rateLimit: { count: rate, perMs: 60_000 } };
}

/** Requests a minute; any number for `*`, `undefined` for what is neither. */
function readRate(text = ""): number | undefined {
	if (text.trim() === "*") return Number.POSITIVE_INFINITY;
	return /^[1-9]\d{0,8}$/u.test(text.trim()) ? Number(text) : undefined;
}
