import { expect, onTestFinished } from "vitest";
import { type Bus, createBus, type LifecycleSignals } from "../../src/bus/index.ts";
import type { OutboxStore } from "../../src/outbox/ports.ts";
import { memoryStore } from "../../src/stores/memory/index.ts";
import { type FakeClock, fakeClock } from "../../src/testing/index.ts";
import {
	type BridgeOptions,
	createWebhookBridge,
	type Endpoint,
	type EndpointInput,
	type WebhookBridge,
} from "../../src/webhook/index.ts";
import { type HttpReceiver, type ReceivedWebhook, startReceiver } from "./http-receiver.ts";
import { Inbox } from "./inbox.ts";

export interface Connected {
	readonly clock: FakeClock;
	readonly store: OutboxStore;
	readonly bus: Bus;
	readonly bridge: WebhookBridge;
	/** What went to `onError`; must be empty when the test ends. */
	readonly errors: unknown[];
	readonly delivered: Inbox<LifecycleSignals["delivery:delivered"]>;
	readonly failed: Inbox<LifecycleSignals["attempt:failed"]>;
	readonly dead: Inbox<LifecycleSignals["delivery:dead"]>;
}

export interface BridgeSetup extends Connected {
	readonly receiver: HttpReceiver;
	/** Creates an endpoint at the receiver that wants everything. */
	endpoint(fields?: Partial<EndpointInput>, path?: string): Promise<Endpoint & { readonly secret: string }>;
}

/** A bus and its bridge on a clock that stands still, and a receiver that answers as told. */
export async function setupBridge({
	decide,
	options,
	clock = fakeClock(),
}: {
	decide?: (webhook: ReceivedWebhook) => number | undefined;
	options?: Partial<BridgeOptions>;
	clock?: FakeClock;
} = {}): Promise<BridgeSetup> {
	const receiver = await startReceiver(decide);
	const connected = connectBridge(receiver, memoryStore({ clock }), clock, options);
	return {
		...connected,
		receiver,
		endpoint: (fields, path = "/hooks") =>
			connected.bridge.endpoints.create({ url: receiver.origin + path, events: ["**"], ...fields }),
	};
}

/** The same over a store that is there already, as after a restart. It leaves no timer and no connection behind. */
export function connectBridge(
	receiver: HttpReceiver,
	store: OutboxStore,
	clock: FakeClock,
	options?: Partial<BridgeOptions>,
): Connected {
	const errors: unknown[] = [];
	const bus = createBus({ store, clock, onError: (error) => errors.push(error) });
	const bridge = createWebhookBridge(bus, {
		forward: ["order.*"],
		retry: { delaysMs: [5_000, 300_000], jitter: 0 },
		network: { allow: [`127.0.0.1/32:${receiver.port}`], allowHttp: true },
		...options,
	});
	const [delivered, failed, dead] = [new Inbox(), new Inbox(), new Inbox()] as [
		Connected["delivered"],
		Connected["failed"],
		Connected["dead"],
	];
	bus.observe("delivery:delivered", (info) => delivered.push(info));
	bus.observe("attempt:failed", (info) => failed.push(info));
	bus.observe("delivery:dead", (info) => dead.push(info));
	onTestFinished(async () => {
		const stopped = bridge.stop({ timeoutMs: 0 });
		await clock.advance(0);
		await stopped;
		await receiver.quiet();
		expect(clock.timers).toBe(0);
		expect(errors).toEqual([]);
	});
	return { clock, store, bus, bridge, errors, delivered, failed, dead };
}
