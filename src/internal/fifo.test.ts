import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Fifo } from "./fifo.ts";

describe("Fifo", () => {
	test("is an array with push and shift, however full it was before", () => {
		const step = fc.oneof(
			fc.record({ kind: fc.constant("push" as const), count: fc.integer({ min: 1, max: 3_000 }) }),
			fc.record({ kind: fc.constant("shift" as const), count: fc.integer({ min: 1, max: 3_000 }) }),
			fc.record({ kind: fc.constant("takeAll" as const), count: fc.constant(1) }),
		);
		fc.assert(
			fc.property(fc.array(step, { maxLength: 12 }), (steps) => {
				const fifo = new Fifo<number>();
				let model: number[] = [];
				let next = 0;
				for (const { kind, count } of steps) {
					if (kind === "takeAll") {
						expect(fifo.takeAll()).toEqual(model);
						model = [];
					}
					for (let i = 0; i < count && kind === "push"; i++) {
						fifo.push(next);
						model.push(next++);
					}
					if (kind === "shift") {
						const expected = model.splice(0, count);
						expect(Array.from({ length: expected.length }, () => fifo.shift())).toEqual(expected);
						if (count > expected.length) expect(fifo.shift()).toBeUndefined();
					}
					expect([fifo.size, fifo.peek()]).toEqual([model.length, model[0]]);
				}
				expect(fifo.takeAll()).toEqual(model);
			}),
		);
	});
});
