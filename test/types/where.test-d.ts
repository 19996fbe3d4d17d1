import { describe, expectTypeOf, test } from "vitest";
import { z } from "zod";
import type { Where, WhereOf } from "../../src/webhook/index.ts";

interface Order {
	readonly id: string;
	readonly total: number;
	readonly status: "open" | "paid";
	readonly gift?: boolean;
	readonly note: string | null;
	readonly customer: { readonly country: string; readonly address?: { readonly city: string } | null };
	readonly items: readonly { readonly sku: string; readonly tags: readonly string[] }[];
	readonly at: Date;
	readonly rates: Readonly<Record<string, number>>;
	readonly lines: Readonly<Record<string, { readonly count: number }>>;
	readonly grid: readonly (readonly number[])[];
	readonly pair: readonly [string, number];
	readonly free: unknown;
	total2(): number;
}

declare enum Size {
	Small = "s",
}

/** The filter as it is, if it compiles. */
function where<Data>(filter: WhereOf<Data>): Where {
	return filter;
}

describe("WhereOf", () => {
	test("knows the paths into the data and what is there", () => {
		where<Order>({ "data.id": "o_1", "data.total": { gte: 1_000, lt: 5_000 }, "data.gift": true });
		where<Order>({ "data.status": { in: ["paid"] }, "data.note": null });
		where<Order>({ "data.customer.country": { prefix: "D" }, "data.customer.address.city": { ne: "Ulm" } });
		where<Order>({ "data.customer": { exists: true } });
		where<Order>({ "data.items.0.sku": "a", "data.items.12.tags.3": { suffix: "z" } });
		where<Order>({ "data.at": { gte: "2026-01-01T00:00:00.000Z" } });
		where<Order>({ "data.rates.EUR": { gt: 1.1 }, "data.lines.first.count": 4, "data.grid.0.1": 4 });
		where<Order>({ "data.pair.0": "a", "data.free.any.thing": { in: [1, "a", null] } });
	});

	test("knows the fields of the envelope, metadata and the combinators", () => {
		where<Order>({ type: { prefix: "order." }, key: "k", subject: { exists: false }, source: "/shop" });
		where<Order>({ time: { gte: "2026" }, "metadata.region": "eu" });
		where<Order>({ and: [{ "data.id": "a" }, { or: [{ "data.total": 1 }, { not: { "data.total": 2 } }] }] });
		const typed: WhereOf<Order, "order.paid" | "order.shipped"> = { type: "order.paid" };
		expectTypeOf(typed).toExtend<Where>();
		// @ts-expect-error not one of the types
		const wrong: WhereOf<Order, "order.paid"> = { type: "order.payd" };
		expectTypeOf(wrong).toExtend<Where>();
	});

	test("refuses a path that is not there", () => {
		// @ts-expect-error a wrong name
		where<Order>({ "data.totl": 1 });
		// @ts-expect-error a wrong name inside
		where<Order>({ "data.customer.contry": "DE" });
		// @ts-expect-error lists have numbers
		where<Order>({ "data.items.first": { exists: true } });
		// @ts-expect-error nothing inside a text
		where<Order>({ "data.id.length": 1 });
		// @ts-expect-error no method
		where<Order>({ "data.total2": { exists: true } });
		// @ts-expect-error a Date is a text
		where<Order>({ "data.at.getTime": { exists: true } });
		// @ts-expect-error no root
		where<Order>({ "date.total": 1 });
		// @ts-expect-error inside a combinator
		where<Order>({ and: [{ "data.totl": 1 }] });
		// @ts-expect-error inside not
		where<Order>({ not: { "data.totl": 1 } });
	});

	test("refuses an operand of another type", () => {
		// @ts-expect-error a text for a number
		where<Order>({ "data.total": "1" });
		// @ts-expect-error a text for a number
		where<Order>({ "data.total": { gte: "1" } });
		// @ts-expect-error numbers have no prefix
		where<Order>({ "data.total": { prefix: "1" } });
		// @ts-expect-error not one of the values
		where<Order>({ "data.status": "payd" });
		// @ts-expect-error not one of the values
		where<Order>({ "data.status": { in: ["payd"] } });
		// @ts-expect-error booleans have no order
		where<Order>({ "data.gift": { gt: false } });
		// @ts-expect-error never null
		where<Order>({ "data.total": null });
		// @ts-expect-error an object equals no scalar
		where<Order>({ "data.customer": "x" });
		// @ts-expect-error no operator
		where<Order>({ "data.total": { gtee: 1 } });
		// @ts-expect-error exists is true or false
		where<Order>({ "data.total": { exists: 1 } });
		// @ts-expect-error a Date is a text
		where<Order>({ "data.at": new Date() });
		// @ts-expect-error a value of a record
		where<Order>({ "data.rates.EUR": "1" });
		// @ts-expect-error a list of filters
		where<Order>({ and: { "data.total": 1 } });
	});

	test("takes any path where the data is not known", () => {
		where<unknown>({ "data.a.b": { gte: 1, prefix: "x" }, data: 1 });
		// biome-ignore lint/suspicious/noExplicitAny: that is what is tested
		where<any>({ "data.a.b": "x" });
		where<Record<string, unknown>>({ "data.a.b": "x" });
		where<object>({ "data.a": "x" });
		// @ts-expect-error still no operator
		where<unknown>({ "data.a": { gtee: 1 } });
	});

	test("takes the paths of each payload of a union", () => {
		type Payload =
			| { readonly id: string; readonly total: number }
			| { readonly id: number; readonly carrier: string };
		where<Payload>({ "data.id": "a", "data.total": 1, "data.carrier": { prefix: "D" } });
		where<Payload>({ "data.id": 4 });
		// @ts-expect-error in none of them
		where<Payload>({ "data.sum": 1 });
		where<null | { readonly a: 1 } | string>({ data: null, "data.a": 1 });
		where<string>({ data: { prefix: "a" } });
	});

	test("is given by the output of a schema, brands and enums as JSON has them", () => {
		const schema = z.object({
			id: z.string().brand<"Id">(),
			size: z.enum(Size),
			day: z.iso.date().optional(),
			rest: z.looseObject({ known: z.number() }),
			counted: z.record(z.enum(["a", "b"]), z.int()),
		});
		where<z.output<typeof schema>>({ "data.id": "o_1", "data.size": "s", "data.day": { gt: "2026" } });
		where<z.output<typeof schema>>({ "data.size": Size.Small, "data.rest.known": 1, "data.counted.a": 1 });
		where<z.output<typeof schema>>({ "data.rest.other": "x" });
		// @ts-expect-error known to be a number
		where<z.output<typeof schema>>({ "data.rest.known": "x" });
		// @ts-expect-error no such key
		where<z.output<typeof schema>>({ "data.counted.c": 1 });
	});

	test("ends below five levels, and where a type is inside itself", () => {
		interface Tree {
			readonly name: string;
			readonly left?: Tree;
			readonly kids: readonly Tree[];
		}
		where<Tree>({ "data.left.left.kids.0.name": "a", "data.kids.0.left.name": "a" });
		// @ts-expect-error the first level is known
		where<Tree>({ "data.nam": "a" });
		interface Deep {
			readonly a: { readonly b: { readonly c: { readonly d: { readonly e: { readonly f: string } } } } };
		}
		where<Deep>({ "data.a.b.c.d.e": "below five levels", "data.a.b.c.d.e.f.g": 1 });
		// @ts-expect-error the fourth level is known
		where<Deep>({ "data.a.b.c.x": "a" });
		// @ts-expect-error a type that extends the one it is inside is not that one
		where<{ readonly in: { readonly in?: unknown; readonly id: 1 } }>({ "data.in.x": "a" });
	});
});
