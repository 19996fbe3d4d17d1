import {
	type Bus,
	type BusEvent,
	type ConsumerOutcome,
	createBus,
	defineEvents,
	type Emission,
	type EmissionReport,
	type HandlerSubscription,
	isCallhookError,
	type Overflow,
	type Unsubscribe,
} from "callhook";
import { describe, expectTypeOf, test } from "vitest";
import { z } from "zod";

type Events = { "order.paid": { total: number }; "user.created": { name: string } };

const events = defineEvents({
	"order.paid": z.object({
		id: z.string(),
		total: z.string().transform(Number),
		note: z.string().default(""),
	}),
	"order.shipped": {
		schema: z.object({ id: z.coerce.number() }),
		description: "left the house",
		examples: [{ id: "7" }],
		key: (order) => {
			expectTypeOf(order).toEqualTypeOf<{ id: number }>();
			return String(order.id);
		},
	},
});
// @ts-expect-error an example of something else
defineEvents({ "order.paid": { schema: z.object({ id: z.string() }), examples: [{ id: 7 }] } });
type Paid = { id: string; total: number; note: string };

describe("a bus with a catalog", () => {
	const bus = createBus({ events, source: "/shop" });

	test("takes the input of a schema and gives its output", () => {
		bus.emit("order.paid", { id: "o_1", total: "42" });
		bus.emit("order.paid", { id: "o_1", total: "42", note: "n" }, { key: "k", time: new Date(0) });
		bus.on("order.paid", (data, event) => {
			expectTypeOf(data).toEqualTypeOf<Paid>();
			expectTypeOf(event).toEqualTypeOf<BusEvent<"order.paid", Paid>>();
			expectTypeOf(event.id).toEqualTypeOf<string>();
			expectTypeOf(event.time).toEqualTypeOf<string>();
			expectTypeOf(event.key).toEqualTypeOf<string | undefined>();
			expectTypeOf(event.metadata).toEqualTypeOf<Readonly<Record<string, unknown>>>();
		});
		bus.handle("order.paid", (data) => expectTypeOf(data).toEqualTypeOf<Paid>());
	});

	test("refuses another name or other data", () => {
		// @ts-expect-error a wrong name
		bus.emit("order.payd", { id: "o_1", total: "42" });
		// @ts-expect-error the output type is not the input type
		bus.emit("order.paid", { id: "o_1", total: 42 });
		// @ts-expect-error a field is missing
		bus.emit("order.paid", { id: "o_1" });
		// @ts-expect-error a field too many
		bus.emit("order.paid", { id: "o_1", total: "42", extra: true });
		// @ts-expect-error data is missing
		bus.emit("order.paid");
		// @ts-expect-error the data of another type
		bus.emit("order.shipped", { id: "o_1", total: "42" });
		// @ts-expect-error a pattern is no event type
		bus.emit("order.*", { id: "o_1", total: "42" });
		// @ts-expect-error an unknown option
		bus.emit("order.paid", { id: "o_1", total: "42" }, { ky: "k" });
		// @ts-expect-error an option of another type
		bus.emit("order.paid", { id: "o_1", total: "42" }, { key: 7 });
	});

	test("takes no data where the input may be undefined", () => {
		const other = createBus<{ "day.ended": undefined; "order.paid": number }>();
		expectTypeOf(other.emit("day.ended")).toEqualTypeOf<Emission<BusEvent<"day.ended", undefined>>>();
		other.emit("day.ended", undefined, { key: "k" });
		other.emitter("day.ended")();
		other.hold().emit("day.ended");
		// @ts-expect-error data is missing
		other.hold().emit("order.paid");
	});

	test("can be emitted on by code that is generic over its types", () => {
		const emitOn = <E, Type extends keyof E & string>(any: Bus<E>, type: Type, data: E[Type]) =>
			any.emitter(type)(data).event === any.emit(type, data).event;
		expectTypeOf(emitOn(createBus<Events>(), "order.paid", { total: 1 })).toBeBoolean();
	});

	test("returns an emission of its event", async () => {
		const emission = bus.emit("order.paid", { id: "o_1", total: "42" });
		expectTypeOf(emission).toEqualTypeOf<Emission<BusEvent<"order.paid", Paid>>>();
		expectTypeOf(emission.event.data).toEqualTypeOf<Paid>();
		expectTypeOf(emission.stored).toEqualTypeOf<Promise<void>>();
		const report = await emission.settled;
		expectTypeOf(report).toEqualTypeOf<EmissionReport<BusEvent<"order.paid", Paid>>>();
		expectTypeOf(report.event.data.total).toEqualTypeOf<number>();
		for (const outcome of report.outcomes) {
			if (outcome.status === "rejected") expectTypeOf(outcome.error).toBeUnknown();
			if (outcome.status === "fulfilled") expectTypeOf(outcome.value).toBeUnknown();
			if (outcome.status === "dropped") expectTypeOf(outcome.overflow).toEqualTypeOf<Overflow>();
			// @ts-expect-error only a rejected outcome has an error
			if (outcome.status === "fulfilled") expectTypeOf(outcome.error).toBeUnknown();
		}
		for (const { error } of report.failed) expectTypeOf(error).toBeUnknown();
		// @ts-expect-error events are read-only
		emission.event.data = { id: "", total: 0, note: "" };
	});

	test("binds an emitter to one type", () => {
		const emitPaid = bus.emitter("order.paid");
		expectTypeOf(emitPaid)
			.parameter(0)
			.toEqualTypeOf<{ id: string; total: string; note?: string | undefined }>();
		expectTypeOf(emitPaid({ id: "o_1", total: "42" }).event.data).toEqualTypeOf<Paid>();
		emitPaid({ id: "o_1", total: "42" }, { subject: "s" });
		// @ts-expect-error data of another type
		emitPaid({ id: 1 });
		// @ts-expect-error a wrong name
		bus.emitter("order.payd");
		// @ts-expect-error a pattern is no event type
		bus.emitter("order.*");
	});

	test("refuses broken definitions", () => {
		// @ts-expect-error no schema
		defineEvents({ "order.paid": "text" });
		// @ts-expect-error an unknown field
		defineEvents({ "order.paid": { schema: z.string(), descripton: "" } });
		// @ts-expect-error the key is made from the output
		defineEvents({ "order.paid": { schema: z.object({ id: z.number() }), key: (order) => order.id } });
	});
});

describe("a bus with types only", () => {
	const bus = createBus<Events>({ source: "/shop" });

	test("takes and gives the same data", () => {
		expectTypeOf(bus).toEqualTypeOf<Bus<Events>>();
		bus.on("order.paid", (data) => expectTypeOf(data).toEqualTypeOf<{ total: number }>());
		expectTypeOf(bus.emit("order.paid", { total: 1 }).event.data).toEqualTypeOf<{ total: number }>();
		expectTypeOf(bus.emitter("user.created")).parameter(0).toEqualTypeOf<{ name: string }>();
		// @ts-expect-error a wrong name
		bus.emit("order.payd", { total: 1 });
		// @ts-expect-error other data
		bus.emit("order.paid", { total: "1" });
		// @ts-expect-error data of another type
		bus.emit("user.created", { total: 1 });
	});

	test("of an interface works as of a type", () => {
		interface Declared {
			"order.paid": { total: number };
		}
		const declared = createBus<Declared>();
		declared.on("order.*", (data) => expectTypeOf(data).toEqualTypeOf<{ total: number }>());
		// @ts-expect-error a wrong name
		declared.on("orders.*", () => undefined);
	});

	test("without any takes every name, with unknown data", () => {
		const anything = createBus();
		anything.on("whatever.*", (data, event) => {
			expectTypeOf(data).toBeUnknown();
			expectTypeOf(event.type).toEqualTypeOf<string>();
		});
		anything.emit("whatever.happened", 1);
		const name: string = "made.at.run-time";
		anything.on(name, () => undefined);
		anything.emit(name, 1);
	});
});

describe("handle()", () => {
	const bus = createBus<Events>();

	test("returns a subscription that is async-disposable", () => {
		const subscription = bus.handle("order.paid", async () => undefined, { concurrency: 4, timeoutMs: 1 });
		expectTypeOf(subscription).toEqualTypeOf<HandlerSubscription<undefined>>();
		expectTypeOf(subscription).toExtend<AsyncDisposable>();
		expectTypeOf(subscription.pending).toEqualTypeOf<number>();
		// @ts-expect-error unknown option
		bus.handle("order.paid", () => undefined, { concurency: 4 });
		// @ts-expect-error unknown retry option
		bus.handle("order.paid", () => undefined, { retry: { tries: 4 } });
		// @ts-expect-error a key is a string
		bus.handle("order.paid", () => undefined, { key: (data) => data.total });
		// @ts-expect-error concurrency is a number
		bus.handle("order.paid", () => undefined, { concurrency: "4" });
	});
});

describe("report.outcomeOf()", () => {
	test("knows what callbacks and handlers return", async () => {
		const bus = createBus<Events>();
		const count = bus.on("order.*", () => 1);
		const receipts = bus.handle("order.paid", async ({ total }) => ({ receipt: total }));
		const lists = bus.handle(
			"order.paid",
			(data, { events, fail }) => {
				expectTypeOf(data).toEqualTypeOf<readonly { total: number }[]>();
				expectTypeOf(events[0]?.type).toEqualTypeOf<"order.paid" | undefined>();
				fail(0, new Error("no"));
				return data.length;
			},
			{ batch: { size: 10 } },
		);
		const report = await bus.emit("order.paid", { total: 1 }).settled;
		expectTypeOf(report.outcomeOf(count)).toEqualTypeOf<ConsumerOutcome<number> | undefined>();
		const outcome = report.outcomeOf(receipts);
		if (outcome?.status === "fulfilled") expectTypeOf(outcome.value).toEqualTypeOf<{ receipt: number }>();
		expectTypeOf(report.outcomeOf(lists)).toEqualTypeOf<ConsumerOutcome<number> | undefined>();
		// @ts-expect-error a batch has no key
		bus.handle("order.paid", () => undefined, { batch: { size: 10 }, key: () => "k" });
	});
});

describe("on()", () => {
	test("returns a function that is disposable", () => {
		const end = createBus<Events>().on("order.paid", () => undefined);
		expectTypeOf(end).toEqualTypeOf<Unsubscribe<undefined>>();
		expectTypeOf(end).toExtend<Disposable>();
		expectTypeOf(end).toBeCallableWith();
	});

	test("refuses unknown options; once() takes no `once`", () => {
		const bus = createBus<Events>();
		bus.on("order.paid", () => undefined, { signal: AbortSignal.abort(), once: true, priority: 1 });
		// @ts-expect-error unknown option
		bus.on("order.paid", () => undefined, { prio: 1 });
		// @ts-expect-error once is once
		bus.once("order.paid", () => undefined, { once: false });
	});
});

describe("observe()", () => {
	const bus = createBus<Events>();

	test("gives each signal's own facts", () => {
		bus.observe("handler:retry", (info) => {
			expectTypeOf(info.event).toEqualTypeOf<BusEvent>();
			expectTypeOf(info.delayMs).toEqualTypeOf<number>();
			expectTypeOf(info.error).toBeUnknown();
		});
		bus.observe("callback:failed", (info) => expectTypeOf(info.pattern).toEqualTypeOf<string>());
		bus.observe("handler:timeout", async (info) => expectTypeOf(info.timeoutMs).toEqualTypeOf<number>());
		expectTypeOf(bus.observe("handler:failed", () => undefined)).toEqualTypeOf<Unsubscribe>();
	});

	test("refuses an unknown signal and facts it does not have", () => {
		// @ts-expect-error unknown signal
		bus.observe("handler:retried", () => undefined);
		// @ts-expect-error a success has no error
		bus.observe("handler:succeeded", ({ error }) => error);
	});
});

describe("createBus()", () => {
	test("refuses unknown options and no catalog", () => {
		// @ts-expect-error unknown option
		createBus({ onErorr: () => undefined });
		// @ts-expect-error schemas are no catalog
		createBus({ events: { "order.paid": z.string() } });
	});

	test("is async-disposable", () => {
		expectTypeOf(createBus()).toExtend<AsyncDisposable>();
	});
});

describe("isCallhookError()", () => {
	test("narrows to the details of its code", () => {
		const error: unknown = undefined;
		if (isCallhookError(error, "ERR_CALLHOOK_TIMEOUT")) {
			expectTypeOf(error.details).toEqualTypeOf<{ timeoutMs: number }>();
			expectTypeOf(error.code).toEqualTypeOf<"ERR_CALLHOOK_TIMEOUT">();
		}
		// @ts-expect-error unknown code
		isCallhookError(error, "ERR_CALLHOOK_NOTHING");
	});
});
