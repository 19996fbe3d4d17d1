// What a limited handler costs: a backlog of jobs, four at a time, pushed at once and waited for.
import { type BusOptions, createBus, type HandleOptions } from "callhook";
import fastq from "fastq";
import pLimit from "p-limit";
import PQueue from "p-queue";
import { measure, type Subject } from "./harness.ts";

interface Order {
	total: number;
}

const concurrency = 4;
const backlog = 100_000;
const state = { sum: 0 };
const order: Order = { total: 42 };

async function work(value: Order): Promise<void> {
	state.sum += value.total;
}

function createHandler(options: HandleOptions<Order>, busOptions: BusOptions & { events?: undefined } = {}) {
	const bus = createBus<{ "order.paid": Order }>(busOptions);
	return { bus, handler: bus.handle("order.paid", work, { concurrency, ...options }) };
}

function callhook(
	name: string,
	options: HandleOptions<Order>,
	busOptions?: BusOptions & { events?: undefined },
): Subject {
	return {
		name,
		create() {
			const { bus, handler } = createHandler(options, busOptions);
			return (operations) => {
				for (let i = 0; i < operations; i++) bus.emit("order.paid", order);
				return handler.idle();
			};
		},
	};
}

let nextKey = 0;

const subjects: Subject[] = [
	{
		name: "p-queue",
		create: () => (operations) => {
			const queue = new PQueue({ concurrency });
			for (let i = 0; i < operations; i++) void queue.add(() => work(order));
			return queue.onIdle();
		},
	},
	callhook("callhook", {}),
	callhook("callhook, trackCauses: false", {}, { trackCauses: false }),
	callhook("callhook, 1,000 keys", { key: () => `key_${nextKey++ % 1_000}` }),
	{
		name: "p-limit",
		create: () => (operations) => {
			const limit = pLimit(concurrency);
			return Promise.all(Array.from({ length: operations }, () => limit(work, order)));
		},
	},
	{
		name: "fastq.promise",
		create: () => (operations) => {
			const queue = fastq.promise(work, concurrency);
			for (let i = 0; i < operations; i++) void queue.push(order);
			return queue.drained();
		},
	},
];

/** A million events in backlogs of one size: with linear time, the size makes no difference. */
function backlogOf(size: number): Subject {
	return {
		name: `backlog of ${size.toLocaleString("en")}`,
		create() {
			const { bus, handler } = createHandler({}, { trackCauses: false });
			return async (operations) => {
				for (let left = operations; left > 0; left -= size) {
					for (let i = 0; i < size; i++) bus.emit("order.paid", order);
					await handler.idle();
				}
			};
		},
	};
}

/** Bytes of heap for each job that waits, with one event each; the data is shared. */
async function reportBytesPerQueuedJob(): Promise<void> {
	const { bus, handler } = createHandler({});
	handler.pause();
	globalThis.gc?.();
	const before = process.memoryUsage().heapUsed;
	for (let i = 0; i < backlog; i++) bus.emit("order.paid", order);
	globalThis.gc?.();
	const bytes = (process.memoryUsage().heapUsed - before) / backlog;
	// Until here the backlog must be reachable.
	handler.resume();
	await handler.idle();
	console.log(`\nheap for each queued job: ${Math.round(bytes)} bytes`);
}

if (process.env.BENCH_SUBJECT === undefined) await reportBytesPerQueuedJob();
await measure([
	{
		name: "limited handler, concurrency 4, backlog of 100,000",
		baseline: "p-queue",
		operations: backlog,
		rounds: 7,
		subjects,
	},
	{
		name: "a million events through one handler, in backlogs",
		baseline: "backlog of 10,000",
		operations: 1_000_000,
		rounds: 5,
		subjects: [10_000, 100_000, 1_000_000].map(backlogOf),
	},
]);
