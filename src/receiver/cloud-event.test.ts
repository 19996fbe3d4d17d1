import { describe, expect, test, vi } from "vitest";
import { secret, signedRequest, standingClock } from "../../test/support/signed-request.ts";
import { createReceiver } from "./receiver.ts";

const traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
const attributes = {
	...{ specversion: "1.0", id: "evt_1", source: "/shop", type: "order.paid", time: "2021-02-25T15:02:10.5Z" },
	...{ subject: "o_1", correlationid: "c", causationid: "d", partitionkey: "k", traceparent },
};
const options = {
	...{ id: "evt_1", time: attributes.time, key: "k", subject: "o_1", correlationId: "c", causationId: "d" },
	...{ traceparent, metadata: { webhook: { hops: 1, source: "/shop" } } },
};
const structuredType = "application/cloudevents+json; charset=utf-8";
const batchType = "application/cloudevents-batch+json";

function setup() {
	const emit = vi.fn();
	return { emit, receiver: createReceiver({ secrets: secret, bus: { emit }, clock: standingClock }) };
}

const structured = (value: unknown, id = "evt_1") =>
	signedRequest(value, { id, headers: { "content-type": structuredType } });
const batch = (value: unknown) => signedRequest(value, { headers: { "content-type": batchType } });
const ceHeaders = Object.fromEntries(
	Object.entries(attributes).map(([name, value]) => [`ce-${name}`, value]),
);
const binary = (data: unknown, headers: Record<string, string> = {}, id = "evt_1") =>
	signedRequest(data, { id, headers: { ...ceHeaders, ...headers } });

describe("receiver.fetch() - a structured CloudEvent", () => {
	test("keeps all that the bus has a place for", async () => {
		const { emit, receiver } = setup();
		expect((await receiver.fetch(structured({ ...attributes, data: { total: 1 } }))).status).toBe(204);
		expect(emit.mock.calls).toEqual([["order.paid", { total: 1 }, options]]);
	});

	test("without a time has that of the message, without data null, and with an id that cannot be one the message's", async () => {
		const { emit, receiver } = setup();
		const { time: _, ...untimed } = attributes;
		await receiver.fetch(structured({ ...untimed, id: "a.b" }, "msg_7"));
		expect(emit.mock.lastCall).toMatchObject([
			"order.paid",
			null,
			{ id: "msg_7", time: "2021-02-25T15:02:10.000Z" },
		]);
	});

	test.each([
		["another version", { ...attributes, specversion: "0.3" }, "CLOUDEVENTS_VERSION"],
		["no type", { ...attributes, type: "" }],
		["a bad time", { ...attributes, time: "yesterday" }],
		["loose base64", { ...attributes, data_base64: "A A=" }],
		["a list", [attributes]],
	])("with %s is refused", async (_, value, code = "INVALID_BODY") => {
		const { emit, receiver } = setup();
		const response = await receiver.fetch(structured(value));
		expect([response.status, await response.json()]).toEqual([400, { error: `ERR_CALLHOOK_${code}` }]);
		expect(emit).not.toHaveBeenCalled();
	});
});

describe("receiver.fetch() - a binary CloudEvent", () => {
	test("is the same event", async () => {
		const { emit, receiver } = setup();
		expect((await receiver.fetch(binary({ total: 1 }))).status).toBe(204);
		expect(emit.mock.calls).toEqual([["order.paid", { total: 1 }, options]]);
	});

	test("reads percent-encoded attributes, and leaves what is not well encoded", async () => {
		const { emit, receiver } = setup();
		await receiver.fetch(binary({}, { "ce-subject": "a%20%C3%A9%F0%9D%92%B3", "ce-partitionkey": "100%zz" }));
		expect(emit.mock.lastCall?.[2]).toMatchObject({ subject: "a é𝒳", key: "100%zz" });
	});

	test("has the signed id, not that of a header which nobody signed", async () => {
		const { emit, receiver } = setup();
		await receiver.fetch(binary({}, { "ce-id": "evt_forged" }));
		expect(emit.mock.lastCall?.[2]).toMatchObject({ id: "evt_1" });
	});
});

describe("receiver.fetch() - a batch of CloudEvents", () => {
	const second = { ...attributes, id: "evt_2", type: "order.sent", data: 2 };

	test("is emitted one by one, each under its own id", async () => {
		const { emit, receiver } = setup();
		expect((await receiver.fetch(batch([attributes, second]))).status).toBe(204);
		expect(emit.mock.calls.map(([type, , { id }]) => [type, id])).toEqual([
			["order.paid", "evt_1"],
			["order.sent", "evt_2"],
		]);
	});

	test("may be empty", async () => {
		expect((await setup().receiver.fetch(batch([]))).status).toBe(204);
	});

	test.each([
		["an object", attributes],
		["one that is no event", [attributes, 1]],
		["one without an id", [attributes, { ...second, id: "a.b" }]],
		["one of another version", [attributes, { ...second, specversion: "2" }]],
		["too many", Array.from({ length: 1_001 }, () => attributes)],
	])("with %s is refused as a whole", async (_, value) => {
		const { emit, receiver } = setup();
		expect((await receiver.fetch(batch(value))).status).toBe(400);
		expect(emit).not.toHaveBeenCalled();
	});
});
