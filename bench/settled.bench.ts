// What it costs to emit and wait for asynchronous callbacks.
import { createBus } from "callhook";
import Emittery from "emittery";
import { createHooks } from "hookable";
import { compare, finish, type Subject } from "./harness.ts";

const state = { sum: 0 };
const type = "order.paid";
const order = { total: 42 };
type Order = typeof order;

function callbacksFor(count: number): ((order: Order) => Promise<void>)[] {
	return Array.from({ length: count }, () => async (value: Order) => {
		state.sum += value.total;
	});
}

function bare(count: number): Subject {
	const callbacks = callbacksFor(count);
	return {
		name: "bare Promise.all",
		async run(operations) {
			for (let i = 0; i < operations; i++) await Promise.all(callbacks.map((callback) => callback(order)));
		},
	};
}

function emittery(count: number): Subject {
	const emitter = new Emittery<Record<string, Order>>();
	for (const callback of callbacksFor(count)) emitter.on(type, callback as never);
	return {
		name: "emittery",
		async run(operations) {
			for (let i = 0; i < operations; i++) await emitter.emit(type, order);
		},
	};
}

function hookable(count: number): Subject {
	const hooks = createHooks<Record<string, (order: Order) => Promise<void>>>();
	for (const callback of callbacksFor(count)) hooks.hook(type, callback);
	return {
		name: "hookable, parallel",
		async run(operations) {
			for (let i = 0; i < operations; i++) await hooks.callHookParallel(type, order);
		},
	};
}

function callhook(count: number): Subject {
	const bus = createBus<Record<string, Order>>();
	for (const callback of callbacksFor(count)) bus.on(type, callback);
	return {
		name: "callhook, settled",
		async run(operations) {
			for (let i = 0; i < operations; i++) await bus.emit(type, order).settled;
		},
	};
}

const comparisons = [];
for (const count of [1, 8]) {
	comparisons.push(
		await compare({
			name: `emit and wait, ${count} asynchronous callback${count === 1 ? "" : "s"}`,
			baseline: "bare Promise.all",
			operations: 100_000,
			subjects: [bare(count), callhook(count), emittery(count), hookable(count)],
		}),
	);
}
finish(comparisons);
