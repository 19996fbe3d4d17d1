import type { NewDelivery, OutboxStore } from "../../src/outbox/ports.ts";
import { createRelay, type Relay, type RelayedGroup } from "../../src/outbox/relay.ts";
import type { TargetGroup } from "../../src/outbox/target-group.ts";
import { memoryStore } from "../../src/stores/memory/index.ts";
import { type FakeClock, fakeClock } from "../../src/testing/index.ts";
import { eventFor, type FakeGroup } from "./target-group.ts";

export const leaseMs = 60_000;

/** A relay whose groups are reached by their names, also those that were removed. */
interface NamedRelay extends Relay {
	remove(name: string, timeoutMs: number): Promise<void>;
	pause(name: string): void;
	resume(name: string): void;
	inFlight(name: string): number;
	idle(name: string): Promise<void>;
}

/** A relay on a memory store and a fake clock, with all it reported and signalled. */
export interface RelayBench {
	readonly clock: FakeClock;
	/** Its calls may be watched and replaced with `vi.spyOn`. */
	readonly store: OutboxStore;
	readonly relay: NamedRelay;
	/** Activity and message of each error, in order. */
	readonly errors: readonly string[];
	readonly signals: readonly { readonly name: string; readonly info: unknown }[];
	/** Appends one event for each id, all with this delivery: to target `a` of group `g` unless it says otherwise. */
	add(ids: readonly string[], delivery?: Partial<NewDelivery>): Promise<void>;
	/** Lets everything run that is ready: turns of the event loop, until the store is asked nothing any more. */
	flush(): Promise<void>;
	/** Moves the time, and lets everything run that is ready before and after. */
	advance(ms: number): Promise<void>;
	/** `evt_1 delivered`, … of the deliveries in the store, oldest first. */
	states(): Promise<string[]>;
}

export function openRelay(): RelayBench {
	const clock = fakeClock();
	const { store, countCalls } = countingStore(memoryStore({ clock }));
	const errors: string[] = [];
	const signals: { name: string; info: unknown }[] = [];
	const relay = byName(
		createRelay({
			...{ store, clock, leaseMs },
			report: (error, activity) => errors.push(`${activity}: ${(error as Error).message}`),
			send: (name, info) => signals.push({ name, info: info() }),
		}),
	);
	async function flush(): Promise<void> {
		for (let quiet = 0, calls = countCalls(); quiet < 5; quiet++) {
			await new Promise((resolve) => setImmediate(resolve));
			if (countCalls() === calls) continue;
			quiet = 0;
			calls = countCalls();
		}
	}

	return {
		...{ clock, store, relay, errors, signals, flush },
		async advance(ms) {
			await flush();
			await clock.advance(ms);
			await flush();
		},
		async add(ids, delivery) {
			await store.append(ids.map((id) => eventFor(id, { group: "g", target: "a", ...delivery })));
		},
		async states() {
			const { items } = await store.query({}, { limit: 1_000 });
			return items.map(({ eventId, state }) => `${eventId} ${state}`).reverse();
		},
	};
}

function byName(relay: Relay): NamedRelay {
	const groups = new Map<string, RelayedGroup>();
	return {
		...relay,
		add(group: TargetGroup) {
			const added = relay.add(group);
			groups.set(group.name, added);
			return added;
		},
		remove: async (name, timeoutMs) => groups.get(name)?.remove(timeoutMs),
		pause: (name) => groups.get(name)?.pause(),
		resume: (name) => groups.get(name)?.resume(),
		inFlight: (name) => groups.get(name)?.inFlight() ?? 0,
		idle: (name) => groups.get(name)?.idle() ?? Promise.resolve(),
	};
}

/** A store that counts how often it is asked. */
function countingStore(store: OutboxStore): { store: OutboxStore; countCalls(): number } {
	let calls = 0;
	const counting: Partial<OutboxStore> = {};
	for (const name of ["claim", "settle", "extend", "release", "nextDueInMs"] as const) {
		const call = store[name] as (...args: unknown[]) => Promise<never>;
		counting[name] = (...args: unknown[]) => {
			calls++;
			return call(...args);
		};
	}
	return { store: { ...store, ...counting }, countCalls: () => calls };
}

/** `evt_1`, …: the events of the runs so far. */
export function ranIds({ runs }: FakeGroup): string[] {
	return runs.map(({ claim }) => claim.event.id);
}

/** `prefix1`, `prefix2`, … */
export function numbered(prefix: string, count: number): string[] {
	return Array.from({ length: count }, (_, index) => `${prefix}${index + 1}`);
}
