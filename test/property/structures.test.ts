import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Fifo } from "../../src/internal/fifo.ts";
import { MinHeap } from "../../src/internal/min-heap.ts";

const parameters = { seed: 20_260_101, numRuns: 300 };

/** Adds, takes and, now and then, empties; runs of many adds make the lists long. */
const steps = fc.array(
	fc.oneof(
		{
			weight: 6,
			arbitrary: fc.record({ add: fc.array(fc.integer({ min: 0, max: 50 }), { maxLength: 40 }) }),
		},
		{ weight: 3, arbitrary: fc.record({ take: fc.integer({ min: 1, max: 60 }) }) },
		{ weight: 1, arbitrary: fc.constant({ takeAll: true } as const) },
	),
	{ maxLength: 60 },
);

describe("Fifo", () => {
	test("does what an array with push and shift does", () => {
		fc.assert(
			fc.property(steps, (program) => {
				const fifo = new Fifo<number>();
				let model: number[] = [];
				for (const step of program) {
					if ("add" in step) {
						for (const item of step.add) fifo.push(item);
						model.push(...step.add);
					} else if ("take" in step) {
						for (let count = 0; count < step.take; count++) expect(fifo.shift()).toBe(model.shift());
					} else {
						expect(fifo.takeAll()).toEqual(model);
						model = [];
					}
					expect(fifo.size).toBe(model.length);
				}
				expect(fifo.takeAll()).toEqual(model);
				expect(fifo.size).toBe(0);
			}),
			parameters,
		);
	});

	test("keeps its order over many times the length at which it cuts itself", () => {
		const fifo = new Fifo<number>();
		let next = 0;
		let expected = 0;
		for (let round = 0; round < 50; round++) {
			for (let count = 0; count < 300; count++) fifo.push(next++);
			for (let count = 0; count < 290; count++) expect(fifo.shift()).toBe(expected++);
		}
		expect(fifo.size).toBe(next - expected);
		expect(fifo.takeAll()).toEqual(Array.from({ length: next - expected }, (_, index) => expected + index));
	});
});

describe("MinHeap", () => {
	test("takes the smallest rank, as a sorted array does", () => {
		fc.assert(
			fc.property(steps, (program) => {
				const heap = new MinHeap<{ rank: number }>(({ rank }) => rank);
				let model: number[] = [];
				const takeAll = () => {
					while (heap.size > 0) expect(heap.pop()?.rank).toBe(model.shift());
					expect(model).toEqual([]);
				};
				for (const step of program) {
					if ("add" in step) {
						for (const rank of step.add) heap.push({ rank });
						model = [...model, ...step.add].sort((a, b) => a - b);
					} else if ("take" in step) {
						for (let count = 0; count < step.take; count++) {
							expect(heap.peek()?.rank).toBe(model[0]);
							expect(heap.pop()?.rank).toBe(model.shift());
						}
					} else {
						takeAll();
					}
					expect(heap.size).toBe(model.length);
				}
				takeAll();
				expect(heap.pop()).toBeUndefined();
			}),
			parameters,
		);
	});

	test("gives every item back exactly once, of equal rank too", () => {
		fc.assert(
			fc.property(fc.array(fc.integer({ min: 0, max: 3 }), { maxLength: 200 }), (ranks) => {
				const heap = new MinHeap<{ rank: number }>(({ rank }) => rank);
				const items = ranks.map((rank) => ({ rank }));
				for (const item of items) heap.push(item);
				const taken = new Set(items.map(() => heap.pop()));
				expect(taken).toEqual(new Set(items));
				expect(taken.size).toBe(items.length);
			}),
			parameters,
		);
	});
});
