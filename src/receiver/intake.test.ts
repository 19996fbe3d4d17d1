import { expect, test, vi } from "vitest";
import { z } from "zod";
import { secret, signedRequest, standingClock } from "../../test/support/signed-request.ts";
import { createBus } from "../bus/index.ts";
import { defineEvents } from "../event/index.ts";
import { memoryStore } from "../stores/memory/index.ts";
import { createReceiver } from "./receiver.ts";
import type { ReceiverOptions } from "./receiver-options.ts";

const timestamp = "2021-02-25T15:02:10Z";
const events = defineEvents({
	"order.paid": {
		schema: z.object({ total: z.number().transform((cents) => cents / 100) }),
		version: 3,
		upcast: {
			1: (old: { sum: number }) => ({ amount: old.sum }),
			2: (old: { amount: number }) => ({ total: old.amount }),
		},
	},
});

function setup(options: Partial<ReceiverOptions> = {}) {
	const bus = createBus({ events, store: memoryStore() });
	const callback = vi.fn();
	bus.on("order.paid", (data) => callback(data));
	const receiver = createReceiver({ secrets: secret, bus, clock: standingClock, ...options });
	const post = async (type: string, data: unknown, dataversion?: string) => {
		const value = { specversion: "1.0", id: "msg_1", source: "/", type, time: timestamp, dataversion, data };
		const headers = { "content-type": "application/cloudevents+json" };
		const response = await receiver.fetch(signedRequest(value, { headers }));
		const text = await response.text();
		return [response.status, text === "" ? undefined : (JSON.parse(text) as unknown)];
	};
	return { callback, post };
}

test.each([{ events }, {}])("old data is brought up to date, and converted once: %o", async (options) => {
	const { callback, post } = setup(options);
	expect(await post("order.paid", { sum: 100 }, "1")).toEqual([202, undefined]);
	expect(await post("order.paid", { amount: 200 }, "2")).toEqual([202, undefined]);
	expect(await post("order.paid", { total: 300 }, "3")).toEqual([202, undefined]);
	expect(await post("order.paid", { total: 400 })).toEqual([202, undefined]);
	expect(callback.mock.calls).toEqual([[{ total: 1 }], [{ total: 2 }], [{ total: 3 }], [{ total: 4 }]]);
});

test("data of a version that is not known yet is refused, and comes again", async () => {
	const { callback, post } = setup();
	const refused = [400, { error: "ERR_CALLHOOK_INVALID_DATA" }];
	expect(await post("order.paid", { total: 1 }, "4")).toEqual(refused);
	expect(await post("order.paid", { total: "1" })).toEqual(refused);
	expect(await post("order.paid", null, "1")).toEqual(refused);
	expect(callback).not.toHaveBeenCalled();
});

test.each([true, false])("null is no data, where a type takes none (events: %s)", async (hasEvents) => {
	const catalog = defineEvents({ "order.seen": z.undefined(), "order.noted": z.string().nullish() });
	const bus = createBus({ events: catalog });
	const callback = vi.fn();
	bus.on("**", (data) => callback(data));
	const options = hasEvents ? { events: catalog } : {};
	const receiver = createReceiver({ secrets: secret, bus, clock: standingClock, ...options });
	for (const type of ["order.seen", "order.noted"]) {
		const { status } = await receiver.fetch(
			signedRequest({ type, timestamp, data: null }, { id: type.slice(6) }),
		);
		expect(status).toBe(204);
	}
	expect(callback.mock.calls).toEqual([[undefined], [null]]);
});

test("an unknown type is refused, or left aside where that is asked for", async () => {
	const code = "ERR_CALLHOOK_UNKNOWN_EVENT_TYPE";
	expect(await setup().post("order.lost", {})).toEqual([400, { error: code }]);
	expect(await setup({ events }).post("order.lost", {})).toEqual([400, { error: code }]);
	const { post } = setup({ unknownTypes: "ignore" });
	expect(await post("order.lost", {})).toEqual([200, { ignored: code }]);
	expect(await post("order.paid", { total: "1" })).toEqual([400, { error: "ERR_CALLHOOK_INVALID_DATA" }]);
});
