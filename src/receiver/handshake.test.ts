import { describe, expect, test, vi } from "vitest";
import { secret, signedRequest, standingClock } from "../../test/support/signed-request.ts";
import { defineEvents } from "../event/index.ts";
import { createReceiver } from "./receiver.ts";
import type { ReceiverOptions } from "./receiver-options.ts";

function setup(options: Partial<ReceiverOptions> = {}) {
	const emit = vi.fn();
	const receiver = createReceiver({ secrets: secret, bus: { emit }, clock: standingClock, ...options });
	return { emit, receiver };
}

const timestamp = "2021-02-25T15:02:10Z";

describe("receiver.fetch() - a verification", () => {
	const verification = (data: unknown) => signedRequest({ type: "webhook.verification", timestamp, data });

	test("is answered with its challenge, and not emitted, whatever the catalog knows", async () => {
		const { emit, receiver } = setup({ events: defineEvents({}) });
		const response = await receiver.fetch(verification({ challenge: "c-1" }));
		expect([response.status, await response.json()]).toEqual([200, { challenge: "c-1" }]);
		expect(emit).not.toHaveBeenCalled();
	});

	test.each([null, {}, { challenge: 1 }, { challenge: "" }, { challenge: "c".repeat(4_097) }])(
		"that is none, with data %j, is refused",
		async (data) => {
			const response = await setup().receiver.fetch(verification(data));
			expect([response.status, await response.json()]).toEqual([400, { error: "ERR_CALLHOOK_INVALID_BODY" }]);
		},
	);

	test("that is not signed gets nothing back", async () => {
		const request = signedRequest(
			{ type: "webhook.verification", timestamp, data: { challenge: "c-1" } },
			{ headers: { "webhook-id": "msg_2" } },
		);
		const response = await setup().receiver.fetch(request);
		expect(response.status).toBe(401);
		expect(await response.text()).not.toContain("c-1");
	});
});

describe("receiver.fetch() - a ping", () => {
	const ping = () => signedRequest({ type: "webhook.ping", timestamp, data: {} });

	test("is answered 204 and not emitted", async () => {
		for (const options of [{}, { events: defineEvents({}) }]) {
			const { emit, receiver } = setup(options);
			expect((await receiver.fetch(ping())).status).toBe(204);
			expect(emit).not.toHaveBeenCalled();
		}
	});

	test("is an event where the catalog lists it", async () => {
		const schema = { "~standard": { version: 1, vendor: "test", validate: (value: unknown) => ({ value }) } };
		const { emit, receiver } = setup({ events: defineEvents({ "webhook.ping": schema as never }) });
		expect((await receiver.fetch(ping())).status).toBe(204);
		expect(emit).toHaveBeenCalledOnce();
	});
});

describe("receiver.fetch() - OPTIONS, the handshake of CloudEvents", () => {
	const options = (headers: Record<string, string>) =>
		new Request("http://localhost/", { method: "OPTIONS", headers });
	const asked = { "webhook-request-origin": "Shop.test", "webhook-request-rate": "120" };

	test("is 405 where no origin is allowed", async () => {
		const response = await setup().receiver.fetch(options(asked));
		expect([response.status, response.headers.get("allow")]).toEqual([405, "POST"]);
	});

	test.each([
		[{ allowedOrigins: ["shop.test"] }, "Shop.test", "*"],
		[{ allowedOrigins: "*", allowedRate: 60 } as const, "*", "60"],
	])("consents: %j", async (given, origin, rate) => {
		const response = await setup(given).receiver.fetch(options(asked));
		expect(response.status).toBe(200);
		const [allow, allowedOrigin, allowedRate] = [
			"allow",
			"webhook-allowed-origin",
			"webhook-allowed-rate",
		].map((name) => response.headers.get(name));
		expect([allow, allowedOrigin, allowedRate]).toEqual(["POST, OPTIONS", origin, rate]);
	});

	test("does not consent to another origin, nor to one that tells none", async () => {
		const { receiver } = setup({ allowedOrigins: ["shop.test"] });
		const other = await receiver.fetch(options({ "webhook-request-origin": "evil.test" }));
		expect([other.status, await other.json()]).toEqual([403, { error: "ORIGIN_NOT_ALLOWED" }]);
		expect(other.headers.has("webhook-allowed-origin")).toBe(false);
		const none = await receiver.fetch(options({}));
		expect([none.status, none.headers.get("allow")]).toEqual([405, "POST, OPTIONS"]);
	});

	test.each([
		["allowedOrigins", { allowedOrigins: "shop.test" }],
		["allowedOrigins", { allowedOrigins: [""] }],
		["allowedRate", { allowedOrigins: "*", allowedRate: 0 }],
		["allowedRate", { allowedRate: 1 }],
	])("refuses an option %s that cannot work: %o", (option, given) => {
		expect(() => setup(given as Partial<ReceiverOptions>)).toThrow(
			expect.objectContaining({
				code: "ERR_CALLHOOK_INVALID_OPTION",
				details: expect.objectContaining({ option }),
			}),
		);
	});
});
