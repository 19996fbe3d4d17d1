import { CallhookError, isCallhookError } from "../errors.ts";
import type { Clock } from "../internal/clock.ts";
import { leaveToNewer } from "../outbox/index.ts";
import type { AttemptRecord, Claim, ErrorClass, Settlement, StoredEvent } from "../outbox/ports.ts";
import { type ActiveEndpoint, showEndpoint } from "./active-endpoint.ts";
import type { EndpointDirectory } from "./endpoint-directory.ts";
import { isPaused } from "./endpoint-health.ts";
import {
	askFilter,
	type Draft,
	readOutgoing,
	transform,
	type WebhookFilter,
	type WebhookTransform,
} from "./named-functions.ts";
import { decideOutcome, type Outcome, type OutcomePolicy, type RetrySchedule } from "./outcome.ts";
import type { Sender, SendResult } from "./sender.ts";
import { createWebhookRequest, type RequestSettings } from "./webhook-request.ts";

/** What a claim of a delivery comes to. */
type AttemptEnd = Omit<Settlement, "token"> | { readonly giveBackMs: number };

export interface AttemptsParts {
	readonly directory: EndpointDirectory;
	readonly sender: Sender;
	readonly clock: Clock;
	readonly filters: ReadonlyMap<string, WebhookFilter>;
	readonly transforms: ReadonlyMap<string, WebhookTransform>;
	readonly policy: OutcomePolicy;
	readonly request: RequestSettings;
	readonly maxPayloadBytes: number;
	forwards(type: string): boolean;
	/** An attempt has ended: what it says of its endpoint. A promise where that is being disabled, until it is. */
	onOutcome(endpoint: ActiveEndpoint, outcome: Outcome): Promise<unknown> | undefined;
	report(error: unknown, activity: string): void;
}

/** Makes the attempts of deliveries. */
export interface Attempts {
	run(claim: Claim): Promise<AttemptEnd>;
	/** One that is no delivery: whatever the state of the endpoint, unfiltered. */
	send(endpoint: ActiveEndpoint, event: StoredEvent): Promise<AttemptRecord>;
	/** Ends those that are under way. */
	abort(): void;
}

/** How far an attempt has come: what it is if it fails there. */
interface Step {
	errorClass: ErrorClass;
}

// A process that has what is missing here may come and take it.
const otherProcessMs = 5_000;
/** How soon it is looked again whether an endpoint has verified itself. */
const verificationMs = 5_000;

export function createAttempts(parts: AttemptsParts): Attempts {
	const { directory, sender, clock, filters, transforms, request: settings, maxPayloadBytes } = parts;
	/** Ends the wait for functions that have not answered. */
	const asked = new Set<(error: Error) => void>();

	function findFresh(id: string): ActiveEndpoint | undefined {
		return directory.isFresh ? directory.get(id) : undefined;
	}

	/** As others have left it; as this process knows it, while the store cannot tell. */
	async function find(id: string): Promise<ActiveEndpoint | undefined> {
		try {
			await (directory.get(id) === undefined ? directory.reload() : directory.refresh());
		} catch (error) {
			if (directory.get(id) === undefined) throw error;
			parts.report(error, "endpoint");
		}
		return directory.get(id);
	}

	/** What becomes of the event on its way: `undefined`, it is not to be sent. */
	async function draft(endpoint: ActiveEndpoint, event: StoredEvent, step: Step): Promise<Draft | undefined> {
		const { filter, transform: transformName } = endpoint.settings;
		const shown = showEndpoint(endpoint, clock.now());
		const filterBy = filter === undefined ? undefined : filters.get(filter);
		const make = transformName === undefined ? undefined : transforms.get(transformName);
		const { timeoutMs = settings.timeoutMs } = endpoint.settings;
		const deadlineMs = clock.now() + timeoutMs;
		if (filter !== undefined && filterBy !== undefined) {
			step.errorClass = "filter";
			const answer = askFilter(filter, filterBy, readOutgoing(event), shown);
			if (!(await inTime("filter", filter, answer, timeoutMs))) return undefined;
		}
		if (transformName === undefined || make === undefined) return event;
		step.errorClass = "transform";
		const made = transform(transformName, make, readOutgoing(event), shown);
		return inTime("transform", transformName, made, Math.max(1, deadlineMs - clock.now()));
	}

	/** Functions that never answer must not hold their slot for ever. */
	async function inTime<Value>(
		option: "filter" | "transform",
		name: string,
		answer: Promise<Value>,
		timeoutMs: number,
	): Promise<Value> {
		let timer: unknown;
		let giveUp: (error: Error) => void = () => undefined;
		const late = new Promise<never>((_, reject) => {
			giveUp = reject;
			timer = clock.setTimeout(() => {
				const message = `The ${option} "${name}" did not answer within ${timeoutMs} ms`;
				reject(new CallhookError("ERR_CALLHOOK_TIMEOUT", message, { timeoutMs }));
			}, timeoutMs);
		});
		asked.add(giveUp);
		try {
			return await Promise.race([answer, late]);
		} finally {
			asked.delete(giveUp);
			clock.clearTimeout(timer);
		}
	}

	async function send(
		endpoint: ActiveEndpoint,
		event: StoredEvent,
		made: Draft,
		number: number,
	): Promise<Outcome> {
		const startedAtMs = clock.now();
		const { request, shownHeaders } = createWebhookRequest(endpoint, event, made, startedAtMs, settings);
		const bytes = request.body.byteLength;
		const result: SendResult =
			bytes <= maxPayloadBytes
				? await sender.send(request)
				: failure(tooLarge(bytes, maxPayloadBytes), "payload");
		return decide(endpoint, { number, startedAtMs, result, requestHeaders: shownHeaders });
	}

	function decide(
		{ settings: { retry } }: ActiveEndpoint,
		facts: {
			number: number;
			startedAtMs: number;
			result: SendResult;
			requestHeaders?: Readonly<Record<string, string>>;
		},
	): Outcome {
		const nowMs = clock.now();
		const policy = retry === undefined ? parts.policy : withSchedule(parts.policy, retry);
		const { number, startedAtMs, requestHeaders, result } = facts;
		const durationMs = nowMs - startedAtMs;
		const outcome = decideOutcome(
			{ number, startedAtMs, durationMs, nowMs, requestHeaders, result },
			policy,
			Math.random(),
		);
		const { attempt } = outcome;
		if (facts.result.kind !== "error" || !isOwnFault(attempt)) return outcome;
		// Of what went wrong here, and not on the way, the message tells.
		return { ...outcome, attempt: { ...attempt, error: facts.result.error.message.slice(0, 1_000) } };
	}

	return {
		async run({ target, event, attempt: number }) {
			// Without a promise where none is needed, which is nearly always.
			const endpoint = findFresh(target) ?? (await find(target));
			if (directory.isHeld(target)) return { giveBackMs: otherProcessMs };
			if (endpoint === undefined || endpoint.state === "disabled") return { to: { state: "cancelled" } };
			// The store may hold what an earlier process was still allowed to forward, or a newer one is.
			if (!parts.forwards(event.type)) {
				return leaveToNewer(event, clock.now()) ?? { to: { state: "cancelled" } };
			}
			if (endpoint.state === "unverified") return { giveBackMs: verificationMs };
			const startedAtMs = clock.now();
			const { pause } = endpoint.health;
			if (pause !== undefined && isPaused(endpoint.health, startedAtMs)) {
				return { giveBackMs: pause.untilMs - startedAtMs };
			}
			const step: Step = { errorClass: "other" };
			let outcome: Outcome;
			try {
				const { filter, transform: transformName } = endpoint.settings;
				const isAsIs = filter === undefined && transformName === undefined;
				const made = isAsIs ? event : await draft(endpoint, event, step);
				if (made === undefined) return { to: { state: "cancelled" } };
				step.errorClass = "other";
				outcome = await send(endpoint, event, made, number);
			} catch (error) {
				const errorClass = isCallhookError(error, "ERR_CALLHOOK_STOPPED") ? "stopped" : step.errorClass;
				outcome = decide(endpoint, { number, startedAtMs, result: failure(error as Error, errorClass) });
			}
			// Else this would wait on for its next attempt, behind all that was cancelled.
			const disabling = parts.onOutcome(endpoint, outcome);
			if (disabling !== undefined) await disabling;
			const { to, attempt } = outcome;
			// Nobody would make the next one.
			const isOver = (directory.get(target)?.state ?? "disabled") === "disabled";
			return { to: isOver && to.state === "waiting" ? { state: "cancelled" } : to, attempt };
		},
		async send(endpoint, event) {
			if (endpoint.fault !== undefined) throw endpoint.fault;
			const { attempt } = await send(endpoint, event, event, 1);
			return attempt;
		},
		abort() {
			const error = new CallhookError("ERR_CALLHOOK_STOPPED", "The bridge was stopped", { what: "bridge" });
			for (const giveUp of asked) giveUp(error);
			sender.abort();
		},
	};
}

const ownFaults: readonly (ErrorClass | undefined)[] = ["payload", "transform", "filter", "stopped", "proxy"];

/** Whether an attempt failed by something that is not the endpoint's. */
export function isOwnFault({ errorClass }: AttemptRecord): boolean {
	return ownFaults.includes(errorClass);
}

function failure(error: Error, errorClass: ErrorClass): SendResult {
	return { kind: "error", error, errorClass };
}

function tooLarge(bytes: number, maxPayloadBytes: number): CallhookError {
	return new CallhookError(
		"ERR_CALLHOOK_PAYLOAD_TOO_LARGE",
		`The payload has ${bytes} bytes, more than maxPayloadBytes (${maxPayloadBytes})`,
		{ bytes, maxPayloadBytes },
	);
}

function withSchedule(policy: OutcomePolicy, retry: Partial<RetrySchedule>): OutcomePolicy {
	const { delaysMs = policy.schedule.delaysMs, jitter = policy.schedule.jitter } = retry;
	return { ...policy, schedule: { delaysMs, jitter } };
}
