import { expect } from "vitest";
import { type Bus, createBus } from "../../src/bus/index.ts";
import type { OutboxStore } from "../../src/outbox/ports.ts";
import { memoryStore } from "../../src/stores/memory/index.ts";
import { type FakeClock, fakeClock } from "../../src/testing/index.ts";
import { createWebhookBridge, type WebhookBridge } from "../../src/webhook/index.ts";
import { BridgeModel, isFinal, type ModelEndpoint, type ModelRow, modelSettings } from "./bridge-model.ts";
import { type FakeNetwork, openNetwork } from "./fake-network.ts";

/** The bridge under test; another one once it was restarted. */
export interface RealBridge {
	readonly clock: FakeClock;
	readonly store: OutboxStore;
	readonly network: FakeNetwork;
	readonly errors: unknown[];
	bus: Bus;
	bridge: WebhookBridge;
}

export const origin = "http://127.0.0.1:4999";

function connect({ store, clock, errors }: Pick<RealBridge, "store" | "clock" | "errors">) {
	const bus = createBus({ store, clock, onError: (error) => errors.push(error) });
	const { delaysMs, ...settings } = modelSettings;
	const bridge = createWebhookBridge(bus, {
		...{ ...settings, forward: ["order.*"], tenantFrom: "metadata.tenant" },
		retry: { delaysMs, jitter: 0 },
		network: { allow: ["127.0.0.1/32:4999"], allowHttp: true },
	});
	return { bus, bridge };
}

export function openBridge(): { readonly model: BridgeModel; readonly real: RealBridge } {
	const clock = fakeClock();
	const network = openNetwork(clock.now);
	const ends = { store: memoryStore({ clock, maxFinished: 1_000_000 }), clock, errors: [] };
	return { model: new BridgeModel(clock.now()), real: { ...ends, network, ...connect(ends) } };
}

export async function stopBridge({ bus, bridge, clock }: RealBridge): Promise<void> {
	const stopped = bridge.stop({ timeoutMs: 0 }).then(() => bus.close());
	await clock.advance(0);
	await stopped;
}

/** Stops the bridge whatever is under way, and goes on with another on the same store. */
export async function restartBridge(model: BridgeModel, real: RealBridge): Promise<void> {
	await stopBridge(real);
	takeEvents(model, real);
	Object.assign(real, connect(real));
}

/** Lets everything happen that happens now. */
export async function happen(model: BridgeModel, real: RealBridge): Promise<void> {
	do {
		takeEvents(model, real);
		await real.clock.advance(0);
	} while (takeEvents(model, real) > 0);
}

/** Has the model do what the network saw; answers how much that was. */
function takeEvents(model: BridgeModel, { network }: RealBridge): number {
	const events = network.takeEvents();
	for (const event of events) {
		model.nowMs = event.atMs;
		if (event.kind === "sent") model.send(event.request);
		else if (event.code === "ERR_CALLHOOK_TIMEOUT") model.end(event.request, { error: event.code });
		else model.giveUp(event.request);
	}
	return events.length;
}

/** Moves the time from one moment to the next at which something happens, and compares at each. */
export async function advance(model: BridgeModel, real: RealBridge, ms: number): Promise<void> {
	const lastMs = model.nowMs + ms;
	while (model.nowMs < lastMs) {
		const nextMs = model.nextMomentMs(lastMs);
		await real.clock.advance(nextMs - model.nowMs);
		takeEvents(model, real);
		model.nowMs = nextMs;
		await happen(model, real);
		await compare(model, real);
	}
}

/** Compares everything the bridge and its store show with the model. */
export async function compare(model: BridgeModel, real: RealBridge): Promise<void> {
	const { store, bridge, errors } = real;
	expect(errors).toEqual([]);
	const { items } = await store.query({}, { limit: 1_000 });
	expect(items.map(({ eventId, target, group }) => `${group} ${eventId} ${target}`).sort()).toEqual(
		model.rows.map(({ event, endpoint }) => `webhooks ${event.id} ${endpoint.id}`).sort(),
	);
	for (const item of items) {
		const row = model.rows.find((each) => each.event.id === item.eventId && each.endpoint.id === item.target);
		compareRow(model, row as ModelRow, item);
	}
	for (const endpoint of model.endpoints) {
		await compareEndpoint(model, endpoint, bridge);
		const isFull = model.openRequests(endpoint) >= model.ceiling(endpoint);
		const idle = model.rows.filter((row) => row.endpoint === endpoint && model.hindrance(row) === undefined);
		if (!isFull) expect(idle, "could be sent now").toEqual([]);
	}
}

function compareRow(
	model: BridgeModel,
	row: ModelRow,
	item: Awaited<ReturnType<OutboxStore["query"]>>["items"][number],
): void {
	const { id, state, attempts, nextAttemptAt } = item;
	row.id ||= id;
	expect(id).toBe(row.id);
	expect(attempts.map(({ number }) => number)).toEqual(row.log);
	const underWay = [...model.sending.values()].filter((each) => each.row === row && !each.isLost).length;
	expect(row.seen).toBe(row.log.length + row.unwritten + underWay);
	if (isFinal(row)) {
		expect(state).toBe(row.state);
		expect(nextAttemptAt).toBeUndefined();
		return;
	}
	if (row.state === "sending") return expect(state).toBe("in_flight");
	const { endpoint } = row;
	const dueAtMs = Date.parse(nextAttemptAt ?? "");
	const rest = row.attempts === 0 ? "pending" : "waiting";
	if (row.dueAtMs > model.nowMs) {
		expect([state, dueAtMs]).toEqual([rest, row.dueAtMs]);
	} else if (dueAtMs > model.nowMs && state !== "in_flight") {
		// It was claimed when the pause began.
		expect([state, dueAtMs]).toEqual([rest, endpoint.pause?.untilMs]);
		row.dueAtMs = dueAtMs;
	} else {
		// Or at hand, behind those that are under way.
		const isFull = !model.isPaused(endpoint) && model.openRequests(endpoint) >= model.ceiling(endpoint);
		expect(isFull ? [rest, "in_flight"] : [rest]).toContain(state);
	}
}

async function compareEndpoint(
	model: BridgeModel,
	endpoint: ModelEndpoint,
	bridge: WebhookBridge,
): Promise<void> {
	const shown = await bridge.endpoints.get(endpoint.id);
	if (endpoint.state === "deleted") return expect(shown).toBeUndefined();
	expect([shown?.state, shown?.disabledReason]).toEqual([endpoint.state, endpoint.reason]);
	if (endpoint.state === "disabled") return;
	const { failingSinceMs, pause } = endpoint;
	const time = (ms: number | undefined) => (ms === undefined ? undefined : new Date(ms).toISOString());
	expect([shown?.failingSince, shown?.pausedUntil]).toEqual([
		time(failingSinceMs),
		model.isPaused(endpoint) ? time(pause?.untilMs) : undefined,
	]);
}
