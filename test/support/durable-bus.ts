import { type Bus, type BusOptions, createBus } from "../../src/bus/index.ts";
import type { OutboxStore } from "../../src/outbox/ports.ts";
import { memoryStore } from "../../src/stores/memory/index.ts";
import { type FakeClock, fakeClock } from "../../src/testing/index.ts";

export interface JobEvents {
	readonly job: number;
	readonly other: number;
}

/** A bus with a store, and all that went to `onError`. */
export interface DurableBus<Events> {
	readonly clock: FakeClock;
	readonly store: OutboxStore;
	readonly bus: Bus<Events>;
	/** `source name: message` of each error. */
	readonly errors: readonly string[];
	/** Lets everything run that is ready. */
	flush(): Promise<void>;
	/** `e1 handler:a waiting`, … of the deliveries in the store, oldest first. */
	rows(): Promise<string[]>;
}

/** Opens a bus on a memory store, or on the store given, and on a fake clock. */
export function openDurableBus<Events = JobEvents>({
	clock = fakeClock(),
	store = memoryStore({ clock }),
	...options
}: Omit<BusOptions, "clock" | "onError"> & { readonly clock?: FakeClock } = {}): DurableBus<Events> {
	const errors: string[] = [];
	const bus = createBus({
		...(options as object),
		...{ clock, store },
		onError: (error, { source, name }) => errors.push(`${source} ${name}: ${(error as Error).message}`),
	}) as Bus<Events>;
	return { clock, store, bus, errors, flush: () => flush(clock), rows: () => rowsOf(store) };
}

/** Lets everything run that is ready: several rounds, since a database takes more turns than memory. */
export async function flush(clock: FakeClock): Promise<void> {
	for (let round = 0; round < 5; round++) await clock.advance(0);
}

export async function rowsOf(store: OutboxStore): Promise<string[]> {
	const { items } = await store.query({}, { limit: 1_000 });
	return items.map(({ eventId, group, state }) => `${eventId} ${group} ${state}`).reverse();
}

/** A handler whose attempts last until they are ended, by the data of their event. */
export interface OpenHandler {
	run(data: number, context: { readonly attempt: number }): Promise<void>;
	/** `data#attempt`, in the order they began. */
	readonly runs: readonly string[];
	/** The data of those that have not ended. */
	readonly running: readonly number[];
	/** Ends the attempt that runs for this data; with an error it fails. */
	end(data: number, error?: Error): void;
}

export function openHandler(): OpenHandler {
	const runs: string[] = [];
	const open = new Map<number, (error: Error | undefined) => void>();
	return {
		run: (data, { attempt }) =>
			new Promise<void>((resolve, reject) => {
				runs.push(`${data}#${attempt}`);
				open.set(data, (error) => {
					open.delete(data);
					if (error === undefined) resolve();
					else reject(error);
				});
			}),
		runs,
		get running() {
			return [...open.keys()];
		},
		end(data, error) {
			const end = open.get(data);
			if (end === undefined) throw new Error(`no attempt runs for ${data}`);
			end(error);
		},
	};
}
