import { type Bus, type BusOptions, createBus, type ErrorContext } from "../bus/index.ts";
import type { BusEvent } from "../event/index.ts";
import { systemClock } from "../internal/clock.ts";
import { type FakeClock, fakeClock } from "./fake-clock.ts";

/** A bus that remembers what happened on it and whose time stands still until it is moved. */
export interface TestBus<Events = Record<string, unknown>, Inputs = Events> extends Bus<Events, Inputs> {
	/** Every event that was delivered or vetoed, oldest first. */
	readonly recorded: readonly BusEvent[];
	/** The data of the recorded events of one type. */
	dataOf<Type extends keyof Events & string>(type: Type): Events[Type][];
	/** Every error that would have gone to `onError`. */
	readonly errors: readonly { readonly error: unknown; readonly context: ErrorContext }[];
	readonly clock: FakeClock;
	/**
	 * Waits until everything that was emitted, and everything that came of it, has ended; moves the clock over retries,
	 * delays and batches that wait. A handler that waits for something real needs that first: its time limit would pass. Release what is held before.
	 */
	settle(): Promise<void>;
}

/**
 * Creates a bus for tests, with the options of `createBus`, a fake clock, and a memory of what happened.
 *
 * @example
 * ```ts
 * const bus = createTestBus({ events });
 * registerOrderHandlers(bus);
 * bus.emit("order.paid", { orderId: "o_1", total: 4200 });
 * await bus.settle();
 * expect(bus.dataOf("receipt.sent")).toEqual([{ orderId: "o_1" }]);
 * ```
 */
export function createTestBus<Events = Record<string, unknown>, Inputs = Events>(
	options?: TestBusOptions<Events, Inputs>,
): TestBus<Events, Inputs>;
export function createTestBus(options: TestBusOptions = {}): unknown {
	const clock = options.clock ?? fakeClock();
	const recorded: BusEvent[] = [];
	const errors: { error: unknown; context: ErrorContext }[] = [];
	const bus = createBus({
		...options,
		clock,
		onError(error, context) {
			errors.push({ error, context });
			return options.onError?.(error, context);
		},
	});
	bus.use(
		(event, next) => {
			// An event whose time nobody has read takes it when somebody does, and the clock moves.
			recorded.push(event);
			void event.time;
			next(event);
		},
		{ around: "emit" },
	);
	return Object.assign(bus, {
		recorded,
		errors,
		clock,
		dataOf: (type: string) => recorded.filter((event) => event.type === type).map(({ data }) => data),
		async settle() {
			// Twice quiet from the start, behind the round in which it became so: who awaited the last of it may emit anew.
			let lastStats = "";
			for (let quiet = 0; quiet < 3; quiet++) {
				let isIdle = false;
				const idle = bus.idle().then(() => {
					isIdle = true;
				});
				await clock.advance(0);
				if (isIdle) continue;
				idle.catch(() => undefined);
				quiet = -1;
				const stats = JSON.stringify(bus.stats());
				const isMoving = stats !== lastStats;
				lastStats = stats;
				// Durable handlers go on by way of the store, a few turns of the event loop at a time.
				if (isMoving) continue;
				// Where nothing waits for the clock, something real is under way, which may set a timer when it fails.
				if (!(await clock.advanceToNext())) await nextTimer();
			}
		},
	});
}

/** Lets real time pass, a little. */
function nextTimer(): Promise<void> {
	return new Promise((resolve) => void systemClock.setTimeout(resolve, 1));
}

/** As for `createBus`, with a fake clock. */
export interface TestBusOptions<Events = unknown, Inputs = unknown>
	extends Omit<BusOptions<Events, Inputs>, "clock"> {
	readonly clock?: FakeClock | undefined;
}
