// What a limited handler costs: a backlog of jobs, four at a time, pushed at once and waited for.
import { createBus } from "callhook";
import fastq from "fastq";
import pLimit from "p-limit";
import PQueue from "p-queue";
import { compare, finish, type Subject } from "./harness.ts";

const concurrency = 4;
const state = { sum: 0 };

async function work(order: { total: number }): Promise<void> {
	state.sum += order.total;
}

const order = { total: 42 };

function callhook(name: string, options: { key?: (data: { total: number }) => string }): Subject {
	const bus = createBus<{ "order.paid": { total: number } }>();
	const handler = bus.handle("order.paid", work, { concurrency, ...options });
	return {
		name,
		run(operations) {
			for (let i = 0; i < operations; i++) bus.emit("order.paid", order);
			return handler.idle();
		},
	};
}

let nextKey = 0;

const subjects: Subject[] = [
	{
		name: "p-queue",
		run(operations) {
			const queue = new PQueue({ concurrency });
			for (let i = 0; i < operations; i++) void queue.add(() => work(order));
			return queue.onIdle();
		},
	},
	callhook("callhook", {}),
	callhook("callhook, 1,000 keys", { key: () => `key_${nextKey++ % 1_000}` }),
	{
		name: "p-limit",
		run(operations) {
			const limit = pLimit(concurrency);
			return Promise.all(Array.from({ length: operations }, () => limit(work, order)));
		},
	},
	{
		name: "fastq.promise",
		run(operations) {
			const queue = fastq.promise(work, concurrency);
			for (let i = 0; i < operations; i++) void queue.push(order);
			return queue.drained();
		},
	},
];

/** Bytes of heap for each job that waits, with one event each; the data is shared. */
async function bytesPerQueuedJob(): Promise<number> {
	const jobs = 100_000;
	const bus = createBus<{ "order.paid": { total: number } }>();
	const handler = bus.handle("order.paid", work, { concurrency });
	handler.pause();
	globalThis.gc?.();
	const before = process.memoryUsage().heapUsed;
	for (let i = 0; i < jobs; i++) bus.emit("order.paid", order);
	globalThis.gc?.();
	const bytes = (process.memoryUsage().heapUsed - before) / jobs;
	handler.resume();
	await handler.idle();
	return bytes;
}

const comparison = await compare({
	name: "limited handler, concurrency 4, backlog of 100,000",
	baseline: "p-queue",
	operations: 100_000,
	rounds: 7,
	subjects,
});
console.log(`bytes of heap for each queued job: ${Math.round(await bytesPerQueuedJob())}`);
finish([comparison]);
