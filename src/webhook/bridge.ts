import { createPattern, matchAny } from "../event/index.ts";
import { unref } from "../internal/clock.ts";
import { isoTime } from "../internal/iso-time.ts";
import { checkDelayMs, checkOptions } from "../internal/options.ts";
import { type OutboxDoor, storeGraceMs, storeRequired, waitForStore } from "../outbox/index.ts";
import type { NewDelivery, StoredEvent } from "../outbox/ports.ts";
import type { ActiveEndpoint } from "./active-endpoint.ts";
import { createAttempts, isOwnFault } from "./attempt.ts";
import { type BridgeOptions, readBridgeOptions } from "./bridge-options.ts";
import { createDeliveries, type Deliveries } from "./deliveries.ts";
import { createEndpointDirectory, freshMs } from "./endpoint-directory.ts";
import { afterAttempt, type HealthNews, isPaused } from "./endpoint-health.ts";
import { createEndpoints, describeEndpoint, disableEndpoint, type Endpoints } from "./endpoints.ts";
import { lackedBy } from "./named-functions.ts";
import { readNetworkOptions } from "./network-options.ts";
import { checkOperatorCatalog, emitOperatorEvents, type OperatorBus } from "./operator-events.ts";
import type { Outcome } from "./outcome.ts";
import { createRouter } from "./router.ts";
import { createSender } from "./sender.ts";
import { createOwnEvent, pingType, verifyEndpoint } from "./verification.ts";

/** Events of whatever types: of a bus or a bridge that is passed on. */
// biome-ignore lint/suspicious/noExplicitAny: a bridge of known types has to fit one of any.
export type AnyEvents = any;

/** The part of a bus that a bridge needs; every `Bus` has it. */
export interface BridgeBus<Events = AnyEvents> {
	readonly outbox: OutboxDoor | undefined;
	/** @internal Carries the types; never there at run time. */
	readonly $types?: { readonly events: Events } | undefined;
}

/** Forwards chosen events of a bus to HTTP endpoints. */
export interface WebhookBridge<Events = AnyEvents> {
	/** The patterns of the event types that may leave. */
	readonly forward: readonly string[];
	readonly endpoints: Endpoints<Events>;
	readonly deliveries: Deliveries;
	/**
	 * Resolves once no delivery is pending, in flight or waiting for a retry. So it does once the bridge or its bus is stopped,
	 * whatever the store still has, and with `deliver: false` once what was emitted is stored.
	 */
	idle(): Promise<void>;
	/**
	 * Takes no more events and starts no more attempts; waits for those under way, at most `timeoutMs` (default
	 * 10,000), then ends them. What is unfinished stays in the store. Called again, it waits for the same end.
	 */
	stop(options?: StopOptions): Promise<void>;
	/** The same as `stop`. */
	[Symbol.asyncDispose](): Promise<void>;
}

export interface StopOptions {
	/** Default 10,000. */
	readonly timeoutMs?: number | undefined;
}

/** What has run for so long no longer keeps others from running. */
const slowAfterMs = 1_000;
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
export function createWebhookBridge<Events = AnyEvents>(
	bus: BridgeBus<Events>,
	options: BridgeOptions,
): WebhookBridge<Events> {
	const { outbox } = bus;
	if (outbox === undefined) throw storeRequired("createWebhookBridge()");
	const { store, clock, report } = outbox;
	const settings = readBridgeOptions(options);
	const {
		forward,
		concurrency,
		box,
		filters,
		transforms,
		health: healthPolicy,
		timeoutMs,
		userAgent,
	} = settings;
	if (settings.operatorEvents) checkOperatorCatalog(outbox.catalog);
	/** Whether this process makes the deliveries of the bridge. */
	const sends = settings.deliver && outbox.delivers;
	const { guard, proxy } = readNetworkOptions(settings.network);
	const sender = createSender(guard, clock, proxy);
	const forwards = matchAny(forward.map((text) => createPattern(text, "forward")));
	const router = createRouter(() => directory.values(), group, settings.tenantFrom);
	const directory = createEndpointDirectory({
		...{ records: store.endpoints, clock, box, onChange, report },
		onRoutes: router.reset,
		// Who only stores events needs no functions.
		lacks: (endpoint) => (sends ? lackedBy(endpoint, filters, transforms) : undefined),
	});
	const attempts = createAttempts({
		...{ directory, sender, clock, filters, transforms, forwards, onOutcome, report },
		...{ policy: settings.outcomes, request: settings, maxPayloadBytes: settings.maxPayloadBytes },
	});
	/** Endpoints that are being disabled. */
	const ending = new Map<string, Promise<unknown>>();
	let stopping: Promise<void> | undefined;
	let lookTimer: unknown;

	function onChange(id: string): void {
		if (concurrencyOf(id) === 0 || directory.get(id)?.state !== "enabled") delivering.recall(id);
		delivering.wake();
	}

	function concurrencyOf(id: string): number {
		if (directory.isHeld(id)) return 0;
		const endpoint = directory.get(id);
		// Of one that is gone or disabled, what is left is to be claimed and cancelled.
		if (endpoint === undefined || endpoint.state !== "enabled") return 1;
		if (isPaused(endpoint.health, clock.now())) return 0;
		return endpoint.health.pause === undefined ? endpoint.settings.concurrency : 1;
	}

	function onOutcome(endpoint: ActiveEndpoint, outcome: Outcome): Promise<unknown> | undefined {
		judge(endpoint, outcome);
		return ending.get(endpoint.document.id);
	}

	function judge(endpoint: ActiveEndpoint, { attempt, endpoint: verdict }: Outcome): void {
		const { id } = endpoint.document;
		const current = directory.get(id);
		// What was called says nothing of where it has moved to meanwhile.
		if (current === undefined || current.settings.url !== endpoint.settings.url) return;
		if (verdict?.action === "disable") disable(id, verdict.reason);
		if (current.state === "disabled" || isOwnFault(attempt)) return;
		const before = current.health;
		const sign = {
			...{ isSuccess: attempt.outcome === "delivered", nowMs: clock.now() },
			pauseForMs: verdict?.action === "pause" ? verdict.forMs : undefined,
		};
		const { health, news } = afterAttempt(before, sign, healthPolicy);
		if (health === before) return;
		directory.setHealth(id, health);
		for (const each of news) tell(endpoint, each);
	}

	function tell(endpoint: ActiveEndpoint, news: HealthNews): void {
		const { id } = endpoint.document;
		const info = describeEndpoint(endpoint);
		switch (news.kind) {
			case "failing": {
				const { failingSinceMs } = news;
				const disabledAt = isoTime(failingSinceMs + healthPolicy.disableAfterMs);
				return outbox?.send("endpoint:failing", () => ({
					...{ ...info, failingSince: isoTime(failingSinceMs), disabledAt },
				}));
			}
			case "recovered":
				return outbox?.send("endpoint:recovered", () => ({
					...{ ...info, failingSince: isoTime(news.failingSinceMs) },
				}));
			case "paused": {
				const { pause, forMs } = news;
				delivering.recall(id);
				return outbox?.send("endpoint:paused", () => ({ ...info, reason: pause.reason, forMs }));
			}
			case "resumed":
				delivering.wake();
				return outbox?.send("endpoint:resumed", () => info);
			case "disabled":
				return disable(id, news.reason);
		}
	}

	function disable(id: string, reason: Parameters<typeof disableEndpoint>[1]): void {
		if (ending.has(id)) return;
		const done = disableEndpoint(id, reason, { outbox: outbox as OutboxDoor, directory, group })
			.catch((error: unknown) => report(error, "endpoint"))
			.finally(() => ending.delete(id));
		ending.set(id, done);
	}

	/** Of endpoints that others changed it hears within a second, so before it says where events go it looks. */
	function prepareRoutes(tx: unknown): Promise<unknown> | undefined {
		if (directory.isFresh) return undefined;
		if (tx === undefined) return directory.refresh().catch(() => undefined);
		if (store.capabilities.sharing === "full") return directory.readIn(tx);
		// In a transaction of SQLite nothing is waited for.
		void directory.refresh().catch(() => undefined);
		return undefined;
	}

	/** What woke the relay while it is fresh may be a change of an endpoint that waits for one: it is seen when it is not. */
	function prepare(): Promise<void> {
		if (directory.isFresh && hasClosed()) {
			lookTimer ??= unref(
				clock.setTimeout(() => {
					lookTimer = undefined;
					delivering.wake();
				}, freshMs),
			);
		}
		return directory.refresh();
	}

	function hasClosed(): boolean {
		for (const _ of directory.closed()) return true;
		return false;
	}

	/**
	 * What stands in an order gets its place in it at once: routed later, by any of several processes, it could be
	 * overtaken by an event that came after it. The others may be routed by who sends.
	 */
	function route(_event: unknown, stored: StoredEvent): readonly NewDelivery[] | undefined {
		if (sends && directory.isFresh) return router.route(stored);
		const ordered = router.routeOrdered(stored);
		return ordered.length === 0 ? undefined : [...ordered, { group: routingGroup, target: routingGroup }];
	}

	// Routing has a group of its own: it waits for no slot that a hanging endpoint holds.
	const routing = outbox.register({
		name: routingGroup,
		accepts: forward,
		deliver: settings.deliver,
		concurrency: 16,
		concurrencyOf: () => 16,
		prepare,
		prepareRoutes,
		route,
		async run({ event }) {
			// The claim may have taken long.
			if (!directory.isFresh) await directory.refresh();
			return { to: { state: "routed", deliveries: router.route(event) } };
		},
		abort: () => undefined,
	});
	const delivering = outbox.register({
		name: group,
		accepts: [],
		deliver: settings.deliver,
		...{ concurrency, concurrencyOf, slowAfterMs },
		rateLimitOf: (id) => directory.get(id)?.settings.rateLimit,
		closedTargets: directory.closed,
		prepare: directory.refresh,
		run: attempts.run,
		abort: attempts.abort,
	});
	const stopEvents = settings.operatorEvents
		? emitOperatorEvents(bus as unknown as OperatorBus, group)
		: undefined;

	async function stop({ timeoutMs: stopAfterMs = 10_000 }: StopOptions): Promise<void> {
		stopEvents?.();
		clock.clearTimeout(lookTimer);
		await Promise.all([routing.remove(stopAfterMs), delivering.remove(stopAfterMs)]);
		const written = Promise.all(ending.values()).then(directory.stop);
		await waitForStore(written, storeGraceMs, { clock, report });
		await sender.close();
	}

	function stopOnce(given: StopOptions = {}): Promise<void> {
		checkOptions("stop", given, ["timeoutMs"]);
		checkDelayMs("timeoutMs", given.timeoutMs);
		if (stopping !== undefined) {
			// The shortest time counts.
			const { timeoutMs: stopAfterMs = 10_000 } = given;
			void Promise.all([routing.remove(stopAfterMs), delivering.remove(stopAfterMs)]);
		}
		stopping ??= stop(given);
		return stopping;
	}

	return {
		forward: Object.freeze(forward),
		endpoints: createEndpoints({
			...{ outbox, guard, directory, box, group, named: settings },
			ping: (endpoint) => attempts.send(endpoint, createOwnEvent(pingType, {}, clock.now())),
			verify: (endpoint) =>
				verifyEndpoint(endpoint, {
					...{ sender, clock, userAgent, timeoutMs, origin: settings.origin },
					send: (asked, event: StoredEvent) => attempts.send(asked, event),
				}),
		}) as Endpoints<Events>,
		deliveries: createDeliveries({
			...{ store, group, directory, router, forwards },
			recall: delivering.recall,
		}),
		idle: () => routing.idle().then(delivering.idle),
		stop: async (given) => stopOnce(given),
		[Symbol.asyncDispose]: () => stopOnce(),
	};
}
