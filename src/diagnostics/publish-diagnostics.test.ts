import { type ChannelListener, subscribe, unsubscribe } from "node:diagnostics_channel";
import { describe, expect, onTestFinished, test } from "vitest";
import { type Bus, createBus, createUnsubscribe, type LifecycleSignals, signalNames } from "../bus/index.ts";
import { memoryStore } from "../stores/memory/index.ts";
import { fakeClock } from "../testing/index.ts";
import { type DiagnosableBus, publishDiagnostics } from "./publish-diagnostics.ts";

type Seen = [channel: string, info: unknown][];

/** Subscribes to the channel of every signal for the time of the test. */
function listenToAll(): Seen {
	const seen: Seen = [];
	const listener: ChannelListener = (info, channel) => void seen.push([String(channel), info]);
	for (const name of signalNames) {
		subscribe(`callhook:${name}`, listener);
		onTestFinished(() => void unsubscribe(`callhook:${name}`, listener));
	}
	return seen;
}

/** A bus whose signals are sent by hand. */
function setupByHand() {
	const observers = new Map<string, Set<(info: never) => unknown>>();
	const bus: DiagnosableBus = {
		observe(name, observer) {
			const others = observers.get(name) ?? new Set();
			observers.set(name, others.add(observer));
			return createUnsubscribe(() => others.delete(observer));
		},
	};
	const send = (name: string, info: unknown) => {
		for (const observer of observers.get(name) ?? []) observer(info as never);
	};
	const count = () => [...observers.values()].reduce((sum, { size }) => sum + size, 0);
	return { bus, send, count };
}

function observeAll(bus: Bus): Seen {
	const seen: Seen = [];
	for (const name of signalNames) bus.observe(name, (info) => void seen.push([`callhook:${name}`, info]));
	return seen;
}

function setup() {
	const clock = fakeClock();
	const bus = createBus({
		clock,
		store: memoryStore({ clock }),
		deadLetterLimit: 1,
		onError: () => undefined,
	});
	return { bus, clock };
}

function failing(): never {
	throw new Error("broken");
}

describe("publishDiagnostics()", () => {
	test.each(signalNames)("publishes %s on a channel of its own, with what observers get", (name) => {
		const { bus, send } = setupByHand();
		publishDiagnostics(bus);
		const seen = listenToAll();
		const info = { of: name };
		send(name, info);
		expect(seen).toEqual([[`callhook:${name}`, info]]);
		expect(seen[0]?.[1]).toBe(info);
	});

	test("publishes on a real bus exactly what observers get, in their order", async () => {
		const { bus, clock } = setup();
		const observed = observeAll(bus);
		publishDiagnostics(bus);
		const published = listenToAll();
		bus.use((event, next) => event.data !== "vetoed" && next(event), { around: "emit" });
		bus.on("job", failing);
		const retry = { attempts: 2, minDelayMs: 10, jitter: false };
		bus.handle("job", failing, { name: "gives up", retry });
		bus.handle("job", () => undefined, { name: "succeeds", queue: { limit: 1, overflow: "drop-newest" } });
		bus.handle("job", () => new Promise((resolve) => clock.setTimeout(() => resolve(1), 90)), {
			timeoutMs: 50,
		});
		const stream = bus.stream("job", { buffer: 1, overflow: "drop-newest" });
		for (const data of [1, 2, "vetoed"]) bus.emit("job", data);
		await clock.advance(1_000);
		await stream.return?.();
		const names = new Set(observed.map(([name]) => name));
		const expected: (keyof LifecycleSignals)[] = [
			...(["event:vetoed", "callback:failed", "handler:retry", "handler:failed"] as const),
			...(["handler:succeeded", "handler:timeout", "stream:dropped", "deadletter:dropped"] as const),
		];
		for (const name of expected) expect(names).toContain(`callhook:${name}`);
		expect(published).toHaveLength(observed.length);
		for (const [index, [name, info]] of observed.entries()) {
			expect(published[index]?.[0]).toBe(name);
			expect(published[index]?.[1]).toEqual(info);
		}
		await bus.close();
	});

	test("publishes to those who subscribe later, and nothing once it has ended", () => {
		const { bus } = setup();
		const end = publishDiagnostics(bus);
		bus.on("job", failing);
		bus.emit("job", 1);
		const published = listenToAll();
		bus.emit("job", 2);
		end();
		end();
		bus.emit("job", 3);
		expect(published.map(([, info]) => (info as LifecycleSignals["callback:failed"]).event.data)).toEqual([
			2,
		]);
	});

	test("takes every observer off again at its end, by call and by `using`", () => {
		const { bus, count } = setupByHand();
		const end = publishDiagnostics(bus);
		expect(count()).toBe(signalNames.length);
		end();
		expect(count()).toBe(0);
		{
			using _end = publishDiagnostics(bus);
			expect(count()).toBe(signalNames.length);
		}
		expect(count()).toBe(0);
	});

	test("publishes nothing of a bus that is closed, and each of two buses", async () => {
		const [first, second] = [setup().bus, setup().bus];
		const published = listenToAll();
		for (const bus of [first, second]) {
			publishDiagnostics(bus);
			bus.on("job", failing);
			bus.emit("job", 1);
		}
		expect(published).toHaveLength(2);
		await first.close();
		second.emit("job", 2);
		expect(published).toHaveLength(3);
	});
});
