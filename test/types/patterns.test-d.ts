import { createBus, defineEvents, type EventOf, type EventType, type MatchingType } from "callhook";
import { describe, expectTypeOf, test } from "vitest";
import { z } from "zod";
import type { CheckedPattern } from "../../src/event/index.ts";
import type { Matches } from "../../src/event/pattern.ts";

type Paid = { readonly orderId: string; readonly total: number };
type Shipped = { readonly orderId: string; readonly carrier: string };
type Events = {
	"order.paid": Paid;
	"order.shipped": Shipped;
	"order.line.added": { readonly sku: string };
	"user.created": { readonly name: string };
	ping: null;
};

const bus = createBus<Events>();

describe("patterns - match in types as at run time", () => {
	test("one segment and any number", () => {
		expectTypeOf<MatchingType<Events, "order.paid">>().toEqualTypeOf<"order.paid">();
		expectTypeOf<MatchingType<Events, "order.*">>().toEqualTypeOf<"order.paid" | "order.shipped">();
		expectTypeOf<MatchingType<Events, "order.**">>().toEqualTypeOf<
			"order.paid" | "order.shipped" | "order.line.added"
		>();
		expectTypeOf<MatchingType<Events, "*">>().toEqualTypeOf<"ping">();
		expectTypeOf<MatchingType<Events, "*.*">>().toEqualTypeOf<
			"order.paid" | "order.shipped" | "user.created"
		>();
		expectTypeOf<MatchingType<Events, "**">>().toEqualTypeOf<EventType<Events>>();
		expectTypeOf<MatchingType<Events, "**.added">>().toEqualTypeOf<"order.line.added">();
		expectTypeOf<MatchingType<Events, "*.created">>().toEqualTypeOf<"user.created">();
		expectTypeOf<MatchingType<Events, "order.*.added">>().toEqualTypeOf<"order.line.added">();
	});

	test("the corner cases of **", () => {
		expectTypeOf<Matches<"a", "a.**">>().toEqualTypeOf<true>();
		expectTypeOf<Matches<"a", "**.a">>().toEqualTypeOf<true>();
		expectTypeOf<Matches<"a.b", "a.**.b">>().toEqualTypeOf<true>();
		expectTypeOf<Matches<"a.x.y.b", "a.**.b">>().toEqualTypeOf<true>();
		expectTypeOf<Matches<"a.b.b", "a.**.b">>().toEqualTypeOf<true>();
		expectTypeOf<Matches<"a", "*.**">>().toEqualTypeOf<true>();
		expectTypeOf<Matches<"a", "**.*">>().toEqualTypeOf<true>();
		expectTypeOf<Matches<"a.b", "a.*.**">>().toEqualTypeOf<true>();
		expectTypeOf<Matches<"a.b.c", "**.b.**">>().toEqualTypeOf<true>();
		expectTypeOf<Matches<"b", "**.b.**">>().toEqualTypeOf<true>();
		expectTypeOf<Matches<"ab", "a.**">>().toEqualTypeOf<false>();
		expectTypeOf<Matches<"a", "a.*">>().toEqualTypeOf<false>();
		expectTypeOf<Matches<"a.b.c", "a.*">>().toEqualTypeOf<false>();
		expectTypeOf<Matches<"a.c", "a.**.b">>().toEqualTypeOf<false>();
		expectTypeOf<Matches<"a", "**.*.*">>().toEqualTypeOf<false>();
		expectTypeOf<Matches<"a.b", "*">>().toEqualTypeOf<false>();
	});

	test("a union of patterns means the types that any of them matches", () => {
		expectTypeOf<MatchingType<Events, "order.paid" | "user.*">>().toEqualTypeOf<
			"order.paid" | "user.created"
		>();
		const pattern = "order.paid" as "order.paid" | "order.shipped";
		bus.on(pattern, (data) => expectTypeOf(data).toEqualTypeOf<Paid | Shipped>());
	});
});

describe("patterns - give callbacks the union of the matching events", () => {
	test("on()", () => {
		bus.on("order.*", (data, event) => {
			expectTypeOf(data).toEqualTypeOf<Paid | Shipped>();
			expectTypeOf(event).toEqualTypeOf<EventOf<"order.paid" | "order.shipped", Events>>();
			expectTypeOf(event.type).toEqualTypeOf<"order.paid" | "order.shipped">();
		});
	});

	test("which narrow on event.type", () => {
		bus.on("order.**", (_data, event) => {
			if (event.type === "order.paid") expectTypeOf(event.data).toEqualTypeOf<Paid>();
			else if (event.type === "order.line.added")
				expectTypeOf(event.data).toEqualTypeOf<{ readonly sku: string }>();
			else expectTypeOf(event.data).toEqualTypeOf<Shipped>();
			switch (event.type) {
				case "order.shipped":
					expectTypeOf(event.data.carrier).toEqualTypeOf<string>();
					break;
				case "order.paid":
				case "order.line.added":
					break;
				default:
					expectTypeOf(event).toBeNever();
			}
		});
	});

	test("once(), off() and handle()", () => {
		bus.once("user.*", (data) => expectTypeOf(data).toEqualTypeOf<Events["user.created"]>());
		bus.handle(
			"order.*",
			(data, context) => {
				expectTypeOf(data).toEqualTypeOf<Paid | Shipped>();
				expectTypeOf(context.attempt).toEqualTypeOf<number>();
				expectTypeOf(context.signal).toEqualTypeOf<AbortSignal>();
				if (context.event.type === "order.paid") expectTypeOf(context.event.data).toEqualTypeOf<Paid>();
			},
			{
				key(data, event) {
					expectTypeOf(data).toEqualTypeOf<Paid | Shipped>();
					expectTypeOf(event.type).toEqualTypeOf<"order.paid" | "order.shipped">();
					return data.orderId;
				},
				retry: { when: (error) => error instanceof TypeError },
			},
		);
		bus.off("order.paid", (data: Paid) => data);
		const handler = (data: Paid, context: { readonly attempt: number }) => [data, context];
		bus.handle("order.paid", handler);
		bus.off("order.paid", handler);
	});

	test("of a catalog as of a map of types", () => {
		const events = defineEvents({
			"order.paid": z.object({ total: z.number() }),
			"order.shipped": z.object({ carrier: z.string() }),
			"user.created": z.object({ name: z.string() }),
		});
		createBus({ events }).on("order.*", (data, event) => {
			expectTypeOf(data).toEqualTypeOf<{ total: number } | { carrier: string }>();
			if (event.type === "order.shipped") expectTypeOf(event.data.carrier).toEqualTypeOf<string>();
		});
	});
});

describe("patterns - that match nothing do not compile", () => {
	test("because the parameter is what there is, or of a wildcard a sentence", () => {
		expectTypeOf<CheckedPattern<Events, "order.payd">>().toEqualTypeOf<keyof Events>();
		expectTypeOf<CheckedPattern<Events, "orders.*">>().toEqualTypeOf<'No event type matches "orders.*"'>();
		expectTypeOf<CheckedPattern<Events, "order.*">>().toEqualTypeOf<"order.*">();
		expectTypeOf<CheckedPattern<Events, "order.paid" | "orders.*">>().toEqualTypeOf<
			"order.paid" | 'No event type matches "orders.*"'
		>();
	});

	test("in on(), once(), off() and handle()", () => {
		const noop = () => undefined;
		// @ts-expect-error a wrong name
		bus.on("order.payd", noop);
		// @ts-expect-error a pattern no type matches
		bus.on("orders.*", noop);
		// @ts-expect-error a wildcard is a whole segment
		bus.on("order.pa*", noop);
		// @ts-expect-error a wrong name
		bus.once("order.payd", noop);
		// @ts-expect-error a wrong name
		bus.off("order.payd", noop);
		// @ts-expect-error a wrong name
		bus.handle("order.payd", noop);
		// @ts-expect-error one of two names is wrong
		bus.on("order.paid" as "order.paid" | "order.payd", noop);
		// @ts-expect-error no pattern at all
		bus.on(7, noop);
		// @ts-expect-error no function
		bus.on("order.paid", "callback");
	});

	test("nor do callbacks that want other data", () => {
		// @ts-expect-error a callback for another event
		bus.on("order.paid", (data: Shipped) => data);
		// @ts-expect-error a callback for only one of the matching events
		bus.on("order.*", (data: Paid) => data);
		// @ts-expect-error a handler for another event
		bus.handle("order.paid", (data: Shipped) => data);
		bus.on("order.*", (data, event) => {
			// @ts-expect-error not in every matching event
			expectTypeOf(data.total).toBeNumber();
			// @ts-expect-error not one of the matching types
			expectTypeOf(event.type === "user.created").toBeBoolean();
		});
	});
});
