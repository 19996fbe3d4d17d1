import { Webhook } from "standardwebhooks";
import { describe, expect, test } from "vitest";
import { setupBridge } from "../../test/support/bridge.ts";
import type { ReceivedWebhook } from "../../test/support/http-receiver.ts";
import { optionOf, rejectionOf } from "../../test/support/thrown.ts";
import { verifyWebhook } from "../receiver/index.ts";
import type { RotateOptions } from "./index.ts";

const hourMs = 3_600_000;

/** A bridge with an endpoint, and a way to get the next webhook from it. */
async function setup() {
	const bridge = await setupBridge({ decide: () => 204 });
	const { id, secret } = await bridge.endpoint();
	const rotate = (options?: RotateOptions) => bridge.bridge.endpoints.rotateSecret(id, options);
	async function send(): Promise<ReceivedWebhook> {
		bridge.bus.emit("order.paid", {});
		const webhook = await bridge.receiver.webhooks.next();
		await bridge.bridge.idle();
		return webhook;
	}
	return { ...bridge, id, secret, rotate, send };
}

function signaturesOf({ headers }: ReceivedWebhook): string[] {
	return (headers["webhook-signature"] as string).split(" ");
}

/** Whether the library of Standard Webhooks would sign this message so with the secret. */
function isSignedBy(secret: string, webhook: ReceivedWebhook): boolean {
	const { id, headers, text } = webhook;
	const date = new Date(Number(headers["webhook-timestamp"]) * 1_000);
	return signaturesOf(webhook).includes(new Webhook(secret).sign(id, date, text));
}

describe("rotateSecret()", () => {
	test("signs with both for a day, then with the new one only", async () => {
		const { secret, rotate, send, clock, bridge, id } = await setup();
		const rotated = await rotate();
		expect(rotated).toStrictEqual({
			signature: "v1",
			secret: expect.stringMatching(/^whsec_/),
			previous: [{ signature: "v1", secret, expiresAt: "2026-01-02T00:00:00.000Z" }],
		});
		expect(await bridge.endpoints.getSecrets(id)).toStrictEqual(rotated);
		const both = await send();
		expect([secret, rotated.secret].map((each) => isSignedBy(each, both))).toEqual([true, true]);
		await clock.advance(24 * hourMs - 1);
		expect(signaturesOf(await send())).toHaveLength(2);
		await clock.advance(1);
		const one = await send();
		expect([secret, rotated.secret].map((each) => isSignedBy(each, one))).toEqual([false, true]);
		expect(await bridge.endpoints.getSecrets(id)).toStrictEqual({ ...rotated, previous: [] });
	});

	test("with an overlap of 0 revokes the one before at once", async () => {
		const { secret, rotate, send } = await setup();
		const { secret: next, previous } = await rotate({ overlapMs: 0 });
		expect(previous).toEqual([]);
		const webhook = await send();
		expect([secret, next].map((each) => isSignedBy(each, webhook))).toEqual([false, true]);
	});

	test("counts for the retries of what was emitted before", async () => {
		let status = 500;
		const { bus, bridge, clock, receiver, endpoint, failed } = await setupBridge({ decide: () => status });
		const { id } = await endpoint();
		bus.emit("order.paid", {});
		await failed.next();
		await receiver.webhooks.next();
		const { secret } = await bridge.endpoints.rotateSecret(id, { overlapMs: 0 });
		status = 204;
		await clock.advance(5_000);
		expect(isSignedBy(secret, await receiver.webhooks.next())).toBe(true);
		await bridge.idle();
	});

	test("takes a secret that is given, and a shorter overlap", async () => {
		const { rotate, send, clock } = await setup();
		const own = `whsec_${Buffer.alloc(24, "o").toString("base64")}`;
		const { secret, previous } = await rotate({ secret: own, overlapMs: hourMs });
		expect([secret, previous[0]?.expiresAt]).toEqual([own, "2026-01-01T01:00:00.000Z"]);
		await clock.advance(hourMs);
		const webhook = await send();
		expect([signaturesOf(webhook).length, isSignedBy(own, webhook)]).toEqual([1, true]);
	});

	test("moves from v1 to v1a: both verify as long as both sign", async () => {
		const { rotate, send, secret, bridge, id, clock } = await setup();
		const { secret: privateKey, publicKey } = await rotate({ signature: "v1a" });
		expect(privateKey).toMatch(/^whsk_/);
		expect(publicKey).toMatch(/^whpk_/);
		const shown = await bridge.endpoints.get(id);
		expect(shown).toMatchObject({ signature: "v1a", publicKey });
		expect(JSON.stringify(shown)).not.toMatch(/whsk_|whsec_/);
		const both = await send();
		expect(signaturesOf(both).map((each) => each.split(",")[0])).toEqual(["v1a", "v1"]);
		expect(isSignedBy(secret, both)).toBe(true);
		const verify = (secrets: readonly string[], { text, headers }: ReceivedWebhook) =>
			verifyWebhook({
				...{ body: text, headers: headers, secrets },
				toleranceSeconds: Number.MAX_SAFE_INTEGER,
			});
		await verify([publicKey as string], both);
		await verify([secret], both);
		await clock.advance(24 * hourMs);
		const one = await send();
		await verify([publicKey as string], one);
		expect((await rejectionOf(verify([secret], one))).code).toBe("ERR_CALLHOOK_SIGNATURE_MISMATCH");
	});

	test("keeps ten, the newest", async () => {
		const { rotate, send, bridge, id } = await setup();
		const secrets: string[] = [];
		for (let count = 0; count < 12; count++) secrets.unshift((await rotate()).secret);
		const { secret, previous } = await bridge.endpoints.getSecrets(id);
		expect([secret, ...previous.map((each) => each.secret)]).toEqual(secrets.slice(0, 10));
		const webhook = await send();
		expect(signaturesOf(webhook)).toHaveLength(10);
		expect(secrets.map((each) => isSignedBy(each, webhook))).toEqual([...Array(10).fill(true), false, false]);
	});

	test("refuses what cannot work, and changes nothing then", async () => {
		const { rotate, bridge, id, secret } = await setup();
		// The end of its time could not be shown, then or ever.
		for (const overlapMs of [-1, Number.MAX_SAFE_INTEGER]) {
			expect(optionOf(await rejectionOf(rotate({ overlapMs })))).toBe("overlapMs");
		}
		expect(optionOf(await rejectionOf(rotate({ overlap: 1 } as RotateOptions)))).toBe("rotateSecret.overlap");
		expect(optionOf(await rejectionOf(rotate({ signature: "v2" as "v1" })))).toBe("signature");
		for (const wrong of ["whsec_hunter2", 5 as unknown as string, "whsk_AAAA"]) {
			const error = await rejectionOf(rotate({ secret: wrong }));
			expect(error.code).toBe("ERR_CALLHOOK_INVALID_SECRET");
			expect(error.message).not.toContain("hunter2");
		}
		expect((await rejectionOf(rotate({ secret, signature: "v1a" }))).code).toBe(
			"ERR_CALLHOOK_INVALID_SECRET",
		);
		expect(await bridge.endpoints.getSecrets(id)).toStrictEqual({ signature: "v1", secret, previous: [] });
	});

	test("tells of itself without the secret", async () => {
		const { rotate, bus, id, receiver } = await setup();
		const told: unknown[] = [];
		bus.observe("endpoint:rotated", (info) => void told.push(info));
		await rotate();
		expect(told).toStrictEqual([{ endpointId: id, url: `${receiver.origin}/hooks`, tenant: undefined }]);
	});
});
