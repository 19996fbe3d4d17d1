// What it costs to emit: synchronous callbacks, each a function of its own as in an application.
import NodeEmitter from "node:events";
import { createBus } from "callhook";
import eventemitter2 from "eventemitter2";
import { EventEmitter } from "eventemitter3";
import mitt from "mitt";
import { createNanoEvents } from "nanoevents";
import { EventEmitter as TseepEmitter } from "tseep";
import { measure, type Subject } from "./harness.ts";

interface Order {
	total: number;
}

interface Listening {
	on(type: string, callback: (order: Order) => void): unknown;
	emit(type: string, order: Order): unknown;
}

const { EventEmitter2 } = eventemitter2;
const state = { sum: 0 };
const type = "order.paid";
const order: Order = { total: 42 };
/** Other types with a listener each, as every application has them. */
const otherTypes = Array.from({ length: 20 }, (_, index) => `other.type_${index}`);

/** Distinct functions: closures of one literal would be inlined into each emitter's loop, as real callbacks are not. */
const callbacks: readonly ((order: Order) => void)[] = [
	(value) => {
		state.sum += value.total;
	},
	(value) => {
		state.sum -= value.total;
	},
	(value) => {
		state.sum ^= value.total;
	},
	(value) => {
		state.sum |= value.total;
	},
	(value) => {
		state.sum += value.total + 1;
	},
	(value) => {
		state.sum -= value.total + 1;
	},
	(value) => {
		state.sum += value.total * 2;
	},
	(value) => {
		state.sum -= value.total * 2;
	},
];

/** Registers the callbacks, and lets the emitter first do what it does in an application: call many functions. */
function listen<Emitter extends Listening>(
	emitter: Emitter,
	listeners: readonly ((order: Order) => void)[],
): Emitter {
	for (const callback of listeners) emitter.on(type, callback);
	for (const [index, other] of otherTypes.entries()) {
		emitter.on(other, callbacks[index % callbacks.length] as (order: Order) => void);
	}
	for (let i = 0; i < 2_000; i++) for (const other of otherTypes) emitter.emit(other, order);
	return emitter;
}

const createCallhook = () => createBus<Record<string, Order>>();

const emitters: Readonly<Record<string, () => Listening>> = {
	eventemitter3: () => new EventEmitter(),
	callhook: createCallhook,
	"node:events": () => new NodeEmitter(),
	mitt: () => (mitt as unknown as typeof mitt.default)<Record<string, Order>>(),
	nanoevents: () => createNanoEvents<Record<string, (order: Order) => void>>(),
	tseep: () => new TseepEmitter() as unknown as Listening,
	eventemitter2: () => new EventEmitter2(),
};

function emitting(name: string, create: () => Listening): Subject {
	return {
		name,
		create() {
			const emitter = create();
			return (operations) => {
				for (let i = 0; i < operations; i++) emitter.emit(type, order);
			};
		},
	};
}

function callbackSubjects(count: number): Subject[] {
	const listeners = callbacks.slice(0, count);
	const withEvent = listeners.map(
		(callback) =>
			(value: Order, _event?: unknown): void =>
				callback(value),
	);
	const bound: Subject = {
		name: "callhook, bound emitter()",
		create() {
			const emitPaid = listen(createCallhook(), listeners).emitter(type);
			return (operations) => {
				for (let i = 0; i < operations; i++) emitPaid(order);
			};
		},
	};
	return [
		...Object.entries(emitters).map(([name, create]) => emitting(name, () => listen(create(), listeners))),
		bound,
		emitting("callhook, callbacks take the event", () => listen(createCallhook(), withEvent)),
	];
}

const allTypes = [type, ...otherTypes];

/** Each emit is of another type than the one before. */
const mixedSubjects = ["eventemitter3", "callhook", "node:events"].map(
	(name): Subject => ({
		name,
		create() {
			const emitter = listen((emitters[name] as () => Listening)(), callbacks.slice(0, 1));
			return (operations) => {
				for (let i = 0; i < operations; i++) emitter.emit(allTypes[i % allTypes.length] as string, order);
			};
		},
	}),
);

function listenToPatterns<Emitter extends Listening>(emitter: Emitter, otherPatterns: number): Emitter {
	emitter.on("order.*", callbacks[0] as (order: Order) => void);
	for (let i = 0; i < otherPatterns; i++) {
		emitter.on(`tenant_${i}.*`, callbacks[i % callbacks.length] as (order: Order) => void);
	}
	for (let i = 0; i < Math.min(otherPatterns, 100) * 20; i++) emitter.emit(`tenant_${i % 100}.order`, order);
	return emitter;
}

function patternSubjects(otherPatterns: number): Subject[] {
	const among = `${otherPatterns.toLocaleString("en")} other patterns`;
	const bound: Subject = {
		name: `callhook, bound emitter(), ${among}`,
		create() {
			const emitPaid = listenToPatterns(createCallhook(), otherPatterns).emitter(type);
			return (operations) => {
				for (let i = 0; i < operations; i++) emitPaid(order);
			};
		},
	};
	return [emitting(`callhook, ${among}`, () => listenToPatterns(createCallhook(), otherPatterns)), bound];
}

await measure([
	...[1, 3, 8].map((count) => ({
		name: `emit, ${count} callback${count === 1 ? "" : "s"}`,
		baseline: "eventemitter3",
		operations: 2_000_000,
		subjects: callbackSubjects(count),
	})),
	{
		name: "emit, 21 types in turn, 1 callback each",
		baseline: "eventemitter3",
		operations: 2_000_000,
		subjects: mixedSubjects,
	},
	{
		name: "emit with one matching pattern `order.*`, among others",
		baseline: "eventemitter2, 10 other patterns",
		operations: 2_000_000,
		subjects: [
			emitting("eventemitter2, 10 other patterns", () =>
				listenToPatterns(new EventEmitter2({ wildcard: true }), 10),
			),
			...patternSubjects(10),
			...patternSubjects(10_000),
		],
	},
]);
