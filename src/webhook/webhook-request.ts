import type { StoredEvent } from "../outbox/ports.ts";
import type { ActiveEndpoint } from "./active-endpoint.ts";
import { addHeaders } from "./custom-headers.ts";
import type { Draft } from "./named-functions.ts";
import { createPayload } from "./payload.ts";
import type { SendRequest } from "./sender.ts";

/** A request, and what the history may tell of it. */
export interface WebhookRequest {
	readonly request: SendRequest;
	/** Without signatures, and without the values that may be secrets. */
	readonly shownHeaders: Readonly<Record<string, string>>;
}

export interface RequestSettings {
	readonly userAgent: string;
	readonly timeoutMs: number;
	/** The name that this sender goes by in the handshake of CloudEvents. */
	readonly origin: string | undefined;
}

/** Makes the request of one attempt, signed for this very second. */
export function createWebhookRequest(
	endpoint: ActiveEndpoint,
	event: StoredEvent,
	{ dataJson, headers: added }: Draft,
	nowMs: number,
	{ userAgent, timeoutMs, origin: sender }: RequestSettings,
): WebhookRequest {
	const { origin, path, settings } = endpoint;
	const { headers: plain, body } = createPayload(settings.format, event, dataJson);
	plain["user-agent"] = userAgent;
	// CloudEvents HTTP webhooks §2.1: as long as it holds, each request says who asked for the consent.
	if (settings.verify === "cloudevents" && sender !== undefined) plain["webhook-request-origin"] = sender;
	const hops = readHops(event.metadataJson);
	if (hops !== undefined) plain["webhook-hops"] = hops;
	const custom = added === undefined ? endpoint.customHeaders : addHeaders(endpoint.customHeaders, added);
	const timestampSeconds = Math.floor(nowMs / 1_000);
	const signed = endpoint.signerAt(nowMs).sign({ id: event.id, type: event.type, timestampSeconds, body });
	const shownHeaders: Record<string, string> = { ...custom?.shown, ...plain };
	for (const name of Object.keys(signed)) {
		if (!name.includes("signature")) shownHeaders[name] = signed[name] as string;
	}
	return {
		request: {
			...{ origin, path, body, compress: settings.compress, tls: settings.tls },
			headers: { ...custom?.sent, ...plain, ...signed },
			timeoutMs: settings.timeoutMs ?? timeoutMs,
		},
		shownHeaders,
	};
}

/** Over how many webhooks an event came, as its receiver noted: by this the next one knows a loop. */
function readHops(metadataJson: string): string | undefined {
	if (metadataJson === "{}") return undefined;
	// A `toJSON` may have made anything of it.
	const metadata = JSON.parse(metadataJson) as {
		readonly webhook?: { readonly hops?: unknown } | null;
	} | null;
	const hops = metadata?.webhook?.hops;
	return typeof hops === "number" ? String(hops) : undefined;
}
