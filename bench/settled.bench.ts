// What it costs to emit and wait for what the callbacks do.
import { createBus } from "callhook";
import Emittery from "emittery";
import { createHooks } from "hookable";
import { measure, type Subject } from "./harness.ts";

interface Order {
	total: number;
}

type Callback = (order: Order) => unknown;

const state = { sum: 0 };
const type = "order.paid";
const order: Order = { total: 42 };

function createCallbacks(count: number, isAsync: boolean): Callback[] {
	return Array.from({ length: count }, () => {
		const add = (value: Order): void => {
			state.sum += value.total;
		};
		return isAsync ? async (value: Order) => add(value) : add;
	});
}

function subjects(count: number, isAsync: boolean): Subject[] {
	return [
		{
			name: "bare Promise.all",
			create() {
				const callbacks = createCallbacks(count, isAsync);
				return async (operations) => {
					for (let i = 0; i < operations; i++)
						await Promise.all(callbacks.map((callback) => callback(order)));
				};
			},
		},
		{
			name: "callhook, settled",
			create() {
				const bus = createBus<Record<string, Order>>();
				for (const callback of createCallbacks(count, isAsync)) bus.on(type, callback);
				return async (operations) => {
					for (let i = 0; i < operations; i++) await bus.emit(type, order).settled;
				};
			},
		},
		{
			name: "emittery",
			create() {
				const emitter = new Emittery<Record<string, Order>>();
				for (const callback of createCallbacks(count, isAsync)) emitter.on(type, callback as never);
				return async (operations) => {
					for (let i = 0; i < operations; i++) await emitter.emit(type, order);
				};
			},
		},
		{
			name: "hookable, parallel",
			create() {
				const hooks = createHooks<Record<string, (value: Order) => void>>();
				for (const callback of createCallbacks(count, isAsync)) hooks.hook(type, callback as () => void);
				return async (operations) => {
					for (let i = 0; i < operations; i++) await hooks.callHookParallel(type, order);
				};
			},
		},
	];
}

await measure(
	[
		{ count: 1, isAsync: true },
		{ count: 8, isAsync: true },
		{ count: 8, isAsync: false },
	].map(({ count, isAsync }) => ({
		name: `emit and wait, ${count} ${isAsync ? "asynchronous" : "synchronous"} callback${count === 1 ? "" : "s"}`,
		baseline: "bare Promise.all",
		operations: 100_000,
		subjects: subjects(count, isAsync),
	})),
);
