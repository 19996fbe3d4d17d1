import { describe, expect, test } from "vitest";
import { optionOf, thrownBy } from "../../test/support/thrown.ts";
import { createBus } from "../bus/index.ts";
import { memoryStore } from "../stores/memory/index.ts";
import { readOutboxOptions } from "./outbox-options.ts";

const dayMs = 86_400_000;
const defaults = {
	...{ deliver: true, leaseMs: 30_000, whenUnavailable: "reject" },
	retention: { deliveredForMs: 7 * dayMs, maxDelivered: 100_000, deadForMs: 30 * dayMs },
};

describe("createBus() - outbox options", () => {
	test("have defaults, each by itself", () => {
		expect(readOutboxOptions(undefined)).toEqual(defaults);
		expect(readOutboxOptions({})).toEqual(defaults);
		const none = { deliver: undefined, leaseMs: undefined, whenUnavailable: undefined, retention: undefined };
		expect(readOutboxOptions(none)).toEqual(defaults);
		const retention = { ...defaults.retention, deadForMs: 0 };
		expect(readOutboxOptions({ retention: { deadForMs: 0 } })).toEqual({ ...defaults, retention });
	});

	test.each<[object]>([
		[{ deliver: false }],
		[{ leaseMs: 100 }],
		[{ leaseMs: 2_147_483_647 }],
		[{ whenUnavailable: "wait" }],
		[{ retention: { deliveredForMs: Infinity, maxDelivered: Infinity, deadForMs: Infinity } }],
		[{ retention: { deliveredForMs: 0, maxDelivered: 0, deadForMs: 0.5 } }],
	])("take %j", (options) => {
		expect(readOutboxOptions(options)).toMatchObject(options);
	});

	test.each<[string, unknown]>([
		["outbox", 7],
		["outbox", null],
		["outbox", []],
		["outbox.delivers", { delivers: true }],
		["outbox.deliver", { deliver: "no" }],
		["outbox.deliver", { deliver: 0 }],
		["outbox.deliver", { deliver: null }],
		["outbox.leaseMs", { leaseMs: 99 }],
		["outbox.leaseMs", { leaseMs: Infinity }],
		["outbox.leaseMs", { leaseMs: "1000" }],
		["outbox.leaseMs", { leaseMs: 2_147_483_648 }],
		["outbox.whenUnavailable", { whenUnavailable: "retry" }],
		["outbox.whenUnavailable", { whenUnavailable: null }],
		["outbox.retention", { retention: 7 }],
		["outbox.retention", { retention: null }],
		["outbox.retention.deliveredFor", { retention: { deliveredFor: 7 } }],
		["outbox.retention.deliveredForMs", { retention: { deliveredForMs: -1 } }],
		["outbox.retention.deliveredForMs", { retention: { deliveredForMs: Number.NaN } }],
		["outbox.retention.maxDelivered", { retention: { maxDelivered: -1 } }],
		["outbox.retention.maxDelivered", { retention: { maxDelivered: 1.5 } }],
		["outbox.retention.deadForMs", { retention: { deadForMs: "1 day" } }],
	])("refuse %s of %j, before the bus is made", (option, outbox) => {
		expect(optionOf(() => createBus({ store: memoryStore(), outbox: outbox as never }))).toBe(option);
	});

	test("need a store, and are checked first without one, too", () => {
		const error = thrownBy(() => createBus({ outbox: {} }));
		expect(optionOf(error)).toBe("store");
		expect(optionOf(() => createBus({ outbox: { leaseMs: 1 } }))).toBe("outbox.leaseMs");
		expect(() => createBus({ outbox: undefined })).not.toThrow();
	});
});
