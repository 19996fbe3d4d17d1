import { describe, expect, test } from "vitest";
import { type Batcher, createBatcher } from "./batcher.ts";
import { createDeferred, type Deferred } from "./deferred.ts";

interface Write {
	readonly items: readonly string[];
	readonly done: Deferred<void>;
}

/** A batcher whose writes stay open until the test ends them. */
function openBatcher(maxBatch = 100): { batcher: Batcher<string>; writes: Write[] } {
	const writes: Write[] = [];
	const batcher = createBatcher<string>(maxBatch, (items) => {
		const done = createDeferred<void>();
		writes.push({ items, done });
		return done.promise;
	});
	return { batcher, writes };
}

/** Lets everything run that is ready: a turn of the event loop comes behind all microtasks. */
const flush = () => new Promise((resolve) => setImmediate(resolve));

const written = (writes: readonly Write[]) => writes.map(({ items }) => items);

describe("createBatcher()", () => {
	test("writes all of one turn together, the microtasks of the turn included, and nothing at once", async () => {
		const { batcher, writes } = openBatcher();
		void batcher.add("a");
		await Promise.resolve();
		await Promise.resolve();
		void batcher.add("b");
		expect(writes).toEqual([]);
		await flush();
		void batcher.add("c");
		expect(written(writes)).toEqual([["a", "b"]]);
	});

	test("resolves once the items are written, and not before", async () => {
		const { batcher, writes } = openBatcher();
		const isWritten: string[] = [];
		for (const item of ["a", "b"]) void batcher.add(item).then(() => isWritten.push(item));
		await flush();
		expect(isWritten).toEqual([]);
		writes[0]?.done.resolve();
		await flush();
		expect(isWritten).toEqual(["a", "b"]);
	});

	test("one write at a time: what is added meanwhile goes together into the next", async () => {
		const { batcher, writes } = openBatcher();
		void batcher.add("a");
		await flush();
		for (const item of ["b", "c", "d"]) {
			void batcher.add(item);
			await flush();
		}
		expect(written(writes)).toEqual([["a"]]);
		writes[0]?.done.resolve();
		await flush();
		expect(written(writes)).toEqual([["a"], ["b", "c", "d"]]);
	});

	test("no batch is larger than its maximum", async () => {
		const { batcher, writes } = openBatcher(2);
		for (const item of ["a", "b", "c", "d", "e"]) void batcher.add(item);
		for (const index of [0, 1, 2]) {
			await flush();
			writes[index]?.done.resolve();
		}
		await flush();
		expect(written(writes)).toEqual([["a", "b"], ["c", "d"], ["e"]]);
	});

	test.each([
		["rejects", () => Promise.reject(new Error("full"))],
		[
			"throws",
			() => {
				throw new Error("full");
			},
		],
	])("a write that %s rejects the items of its batch and no others", async (_, fail) => {
		const write = (items: readonly string[]) => (items.includes("a") ? fail() : Promise.resolve());
		const batcher = createBatcher<string>(2, write);
		const results = await Promise.allSettled(["a", "b", "c"].map((item) => batcher.add(item)));
		const rejected = { status: "rejected", reason: new Error("full") };
		expect(results).toEqual([rejected, rejected, { status: "fulfilled", value: undefined }]);
		await batcher.add("d");
	});

	test("idle() resolves at once without items, and otherwise after the last is written or has failed", async () => {
		const { batcher, writes } = openBatcher();
		await batcher.idle();
		let isIdle = false;
		const added = [batcher.add("a")];
		await flush();
		added.push(batcher.add("b"));
		void batcher.idle().then(() => {
			isIdle = true;
		});
		writes[0]?.done.resolve();
		await flush();
		expect(isIdle).toBe(false);
		writes[1]?.done.reject(new Error("full"));
		await expect(Promise.all(added)).rejects.toThrow("full");
		await flush();
		expect(isIdle).toBe(true);
		await batcher.idle();
	});
});
