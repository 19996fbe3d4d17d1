import { CallhookError } from "../errors.ts";
import { createPattern, matchAny } from "../event/index.ts";
import { checkDelayMs, checkOptions } from "../internal/options.ts";
import type { OutboxDoor } from "../outbox/index.ts";
import type { Claim, NewDelivery, Settlement } from "../outbox/ports.ts";
import { webhookIdHeader, webhookSignatureHeader, webhookTimestampHeader } from "../signature/index.ts";
import { createAddressGuard } from "./address-guard.ts";
import { type BridgeOptions, readBridgeOptions } from "./bridge-options.ts";
import { createDeliveries, type Deliveries } from "./deliveries.ts";
import { type ActiveEndpoint, createEndpointDirectory, type Endpoints } from "./endpoints.ts";
import { decideOutcome } from "./outcome.ts";
import { createSender, type SendRequest } from "./sender.ts";

/** The part of a bus that a bridge needs; every `Bus` has it. */
export interface BridgeBus {
	readonly outbox: OutboxDoor | undefined;
}

/** Forwards chosen events of a bus to HTTP endpoints. */
export interface WebhookBridge {
	readonly endpoints: Endpoints;
	readonly deliveries: Deliveries;
	/** Resolves once no delivery is pending, in flight or waiting for a retry. */
	idle(): Promise<void>;
	/**
	 * Takes no more events and starts no more attempts; waits for those under way, at most `timeoutMs` (default
	 * 10,000), then ends them. What is unfinished stays in the store. Called again, it waits for the same end.
	 */
	stop(options?: { readonly timeoutMs?: number | undefined }): Promise<void>;
	/** The same as `stop`. */
	[Symbol.asyncDispose](): Promise<void>;
}

const group = "webhooks";
const routingGroup = "webhooks:routing";

/**
 * Creates a webhook bridge: from now on every event whose type matches `forward` is kept in the outbox of the bus
 * and delivered to the endpoints that ask for it, signed as Standard Webhooks 1.0 says, at least once each.
 *
 * Throws ERR_CALLHOOK_STORE_REQUIRED for a bus without a store, ERR_CALLHOOK_TARGET_EXISTS for a second bridge on
 * one bus, ERR_CALLHOOK_INVALID_OPTION, ERR_CALLHOOK_INVALID_PATTERN and ERR_CALLHOOK_MISSING_NAME.
 *
 * @example
 * ```ts
 * const bridge = createWebhookBridge(bus, { forward: ["order.*"] });
 * const endpoint = await bridge.endpoints.create({ url: "https://shop.example/hooks", events: ["order.paid"] });
 * console.log(endpoint.secret);
 * ```
 */
export function createWebhookBridge(bus: BridgeBus, options: BridgeOptions): WebhookBridge {
	const { outbox } = bus;
	if (outbox === undefined) {
		throw new CallhookError(
			"ERR_CALLHOOK_STORE_REQUIRED",
			"A webhook bridge needs an outbox: create the bus with a store, such as memoryStore()",
			{ where: "createWebhookBridge()" },
		);
	}
	const { store, clock } = outbox;
	const { forward, retry, timeoutMs, concurrency, userAgent, network } = readBridgeOptions(options);
	const guard = createAddressGuard(network);
	const sender = createSender(guard, clock);
	const directory = createEndpointDirectory(store, guard, clock);
	const forwards = matchAny(forward.map((text) => createPattern(text, "forward")));

	async function run(claim: Claim): Promise<Omit<Settlement, "token">> {
		const endpoint = directory.loaded.get(claim.target);
		// The store may hold what an earlier process was still allowed to forward.
		if (endpoint === undefined || !forwards(claim.event.type)) return { to: { state: "cancelled" } };
		const startedAtMs = clock.now();
		const result = await sender.send({
			...sign(endpoint, claim, startedAtMs, userAgent),
			timeoutMs: endpoint.document.timeoutMs ?? timeoutMs,
		});
		const facts = { number: claim.attempt, startedAtMs, durationMs: clock.now() - startedAtMs, result };
		return decideOutcome(facts, retry, Math.random());
	}

	// Routing has a group of its own: it waits for no slot that a hanging endpoint holds.
	const routing = outbox.register({
		name: routingGroup,
		accepts: forward,
		concurrency: 16,
		concurrencyOf: () => 16,
		prepare: directory.load,
		// Before the endpoints are read it cannot be said; from then on only events of other processes come to `run`.
		route: ({ type }) => (directory.isLoaded ? route(type) : undefined),
		run: async ({ event }) => ({ to: { state: "routed", deliveries: route(event.type) } }),
		abort: () => undefined,
	});
	const delivering = outbox.register({
		name: group,
		accepts: [],
		concurrency,
		concurrencyOf: (id) => directory.loaded.get(id)?.document.concurrency ?? 1,
		prepare: directory.load,
		run,
		abort: sender.abort,
	});

	function route(type: string): NewDelivery[] {
		return [...directory.loaded.values()]
			.filter(({ accepts }) => accepts(type))
			.map(({ document }) => ({ group, target: document.id }));
	}

	async function stop(stopOptions: { readonly timeoutMs?: number | undefined } = {}): Promise<void> {
		checkOptions("stop", stopOptions, ["timeoutMs"]);
		const { timeoutMs: stopAfterMs = 10_000 } = stopOptions;
		checkDelayMs("timeoutMs", stopAfterMs);
		await Promise.all([routing.remove(stopAfterMs), delivering.remove(stopAfterMs)]);
		await sender.close();
	}

	return {
		endpoints: directory.api,
		deliveries: createDeliveries(store, group),
		idle: () => delivering.idle(),
		stop,
		[Symbol.asyncDispose]: () => stop(),
	};
}

/** The request of one attempt: the payload of Standard Webhooks, signed for this very second. */
function sign(
	{ origin, path, signer }: ActiveEndpoint,
	{ event }: Claim,
	nowMs: number,
	userAgent: string,
): Omit<SendRequest, "timeoutMs"> {
	const { id, type, time, dataJson, traceparent } = event;
	const body = Buffer.from(
		`{"type":${JSON.stringify(type)},"timestamp":${JSON.stringify(time)},"data":${dataJson}}`,
	);
	const timestampSeconds = Math.floor(nowMs / 1_000);
	const headers: Record<string, string> = {
		"content-type": "application/json",
		"user-agent": userAgent,
		[webhookIdHeader]: id,
		[webhookTimestampHeader]: String(timestampSeconds),
		[webhookSignatureHeader]: signer.sign(id, timestampSeconds, body),
	};
	if (traceparent !== undefined) headers.traceparent = traceparent;
	return { origin, path, headers, body };
}
