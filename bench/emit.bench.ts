// What it costs to emit: synchronous callbacks, each a function of its own as in an application.
import NodeEmitter from "node:events";
import { createBus } from "callhook";
import Emittery from "emittery";
import EventEmitter2 from "eventemitter2";
import { EventEmitter } from "eventemitter3";
import mitt from "mitt";
import { createNanoEvents } from "nanoevents";
import { EventEmitter as TseepEmitter } from "tseep";
import { compare, finish, type Subject } from "./harness.ts";

interface Order {
	total: number;
}

const state = { sum: 0 };

/** Distinct functions: closures of one literal would be inlined into each emitter's loop, as real callbacks are not. */
const callbacks: ((order: Order) => void)[] = [
	(order) => {
		state.sum += order.total;
	},
	(order) => {
		state.sum -= order.total;
	},
	(order) => {
		state.sum ^= order.total;
	},
	(order) => {
		state.sum |= order.total;
	},
	(order) => {
		state.sum += order.total + 1;
	},
	(order) => {
		state.sum -= order.total + 1;
	},
	(order) => {
		state.sum += order.total * 2;
	},
	(order) => {
		state.sum -= order.total * 2;
	},
];
const withEvent = callbacks.map((callback) => (order: Order, _event: unknown) => callback(order));

const type = "order.paid";
/** Other types with a listener each, as every application has them. */
const otherTypes = Array.from({ length: 20 }, (_, index) => `other.type_${index}`);
const order: Order = { total: 42 };

interface Listening {
	on(type: string, callback: (order: Order) => void): unknown;
	emit(type: string, order: Order): unknown;
}

function subject(name: string, count: number, emitter: Listening, listeners = callbacks): Subject {
	for (const callback of listeners.slice(0, count)) emitter.on(type, callback);
	for (const other of otherTypes)
		emitter.on(other, (value) => {
			state.sum += value.total;
		});
	return {
		name,
		run(operations) {
			for (let i = 0; i < operations; i++) emitter.emit(type, order);
		},
	};
}

function boundSubject(count: number): Subject {
	const bus = createBus<Record<string, Order>>();
	subject("", count, bus);
	const emitPaid = bus.emitter(type);
	return {
		name: "callhook, bound emitter()",
		run(operations) {
			for (let i = 0; i < operations; i++) emitPaid(order);
		},
	};
}

const comparisons = [];
for (const count of [1, 3, 8]) {
	comparisons.push(
		await compare({
			name: `emit, ${count} callback${count === 1 ? "" : "s"}`,
			baseline: "eventemitter3",
			operations: 2_000_000,
			subjects: [
				subject("eventemitter3", count, new EventEmitter()),
				subject("callhook", count, createBus<Record<string, Order>>()),
				boundSubject(count),
				subject("callhook, callbacks take the event", count, createBus<Record<string, Order>>(), withEvent),
				subject("node:events", count, new NodeEmitter()),
				subject("mitt", count, mitt<Record<string, Order>>()),
				subject("nanoevents", count, createNanoEvents<Record<string, (order: Order) => void>>()),
				subject("tseep", count, new TseepEmitter() as unknown as Listening),
				subject("eventemitter2", count, new EventEmitter2()),
			],
		}),
		await compare({
			name: `emit and wait, ${count} synchronous callback${count === 1 ? "" : "s"}`,
			baseline: "emittery",
			operations: 100_000,
			subjects: [awaited("emittery", count, new Emittery()), awaitedSettled(count)],
		}),
	);
}

function awaited(name: string, count: number, emitter: Emittery<Record<string, Order>>): Subject {
	for (const callback of callbacks.slice(0, count)) emitter.on(type, callback as never);
	return {
		name,
		async run(operations) {
			for (let i = 0; i < operations; i++) await emitter.emit(type, order);
		},
	};
}

function awaitedSettled(count: number): Subject {
	const bus = createBus<Record<string, Order>>();
	for (const callback of callbacks.slice(0, count)) bus.on(type, callback);
	return {
		name: "callhook, settled",
		async run(operations) {
			for (let i = 0; i < operations; i++) await bus.emit(type, order).settled;
		},
	};
}

const pattern = createBus<Record<string, Order>>();
pattern.on("order.*", callbacks[0] as (order: Order) => void);
const crowded = createBus<Record<string, Order>>();
crowded.on("order.*", callbacks[0] as (order: Order) => void);
for (let i = 0; i < 10_000; i++) crowded.on(`tenant_${i}.*`, callbacks[1] as (order: Order) => void);
const wildcard = new EventEmitter2({ wildcard: true });
wildcard.on("order.*", callbacks[0] as (order: Order) => void);

function emitting(name: string, emitter: Pick<Listening, "emit">): Subject {
	return {
		name,
		run(operations) {
			for (let i = 0; i < operations; i++) emitter.emit(type, order);
		},
	};
}

comparisons.push(
	await compare({
		name: "emit with one matching pattern `order.*`",
		baseline: "eventemitter2, wildcard",
		operations: 500_000,
		subjects: [
			emitting("eventemitter2, wildcard", wildcard),
			emitting("callhook", pattern),
			emitting("callhook, 10,000 other patterns", crowded),
		],
	}),
);

if (Number.isNaN(state.sum)) throw new Error("the callbacks did not run");
finish(comparisons);
