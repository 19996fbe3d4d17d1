import { Webhook } from "standardwebhooks";
import { describe, expect, it } from "vitest";
import { startReceiver } from "./receiver.ts";
import { createReceiverInbox } from "./receiver-inbox.ts";

const secret = `whsec_${Buffer.alloc(32, 7).toString("base64")}`;
const body = JSON.stringify({ type: "github.push", timestamp: "2019-05-15T15:20:18Z", data: {} });

function signed(id: string): Record<string, string> {
	const now = new Date();
	return {
		"webhook-id": id,
		"webhook-timestamp": String(Math.floor(now.getTime() / 1000)),
		"webhook-signature": new Webhook(secret).sign(id, now, body),
	};
}

describe("the receiver's inbox", () => {
	it("refuses the first attempt of every tenth message and takes the retry", () => {
		const inbox = createReceiverInbox(secret, 10);
		const ids = Array.from({ length: 25 }, (_, index) => `message-${index + 1}`);
		const refused = ids.filter((id) => inbox.receive(body, signed(id)) === 503);
		expect(refused).toEqual(["message-10", "message-20"]);
		for (const id of refused) expect(inbox.receive(body, signed(id))).toBe(204);
		expect(inbox.report()).toEqual({
			requests: 27,
			rejected: 0,
			refused: 2,
			verified: 25,
			duplicates: 0,
			messages: 25,
			verifiedByType: { "github.push": 25 },
		});
	});

	it("counts a message that comes again as a duplicate", () => {
		const inbox = createReceiverInbox(secret, 10);
		expect(inbox.receive(body, signed("a"))).toBe(204);
		expect(inbox.receive(body, signed("a"))).toBe(204);
		expect(inbox.report()).toMatchObject({ verified: 1, duplicates: 1, messages: 1 });
	});

	it("rejects a changed body, a foreign signature and a missing header, and does not count them as messages", () => {
		const inbox = createReceiverInbox(secret, 2);
		const { "webhook-signature": _removed, ...unsigned } = signed("c");
		expect(inbox.receive(`${body} `, signed("a"))).toBe(401);
		expect(inbox.receive(body, { ...signed("a"), "webhook-id": "b" })).toBe(401);
		expect(inbox.receive(body, unsigned)).toBe(401);
		expect(inbox.report()).toMatchObject({ requests: 3, rejected: 3, messages: 0 });
	});
});

describe("the receiver's process", () => {
	const post = async (url: string, id: string) =>
		(await fetch(url, { method: "POST", body, headers: signed(id) })).status;

	it("answers over a real socket, reports over IPC and is gone after stop()", async () => {
		const receiver = await startReceiver();
		expect(await post(receiver.url, "early")).toBe(503);
		await receiver.open({ secret, refuseEvery: 2 });
		expect(await post(receiver.url, "a")).toBe(204);
		expect(await post(receiver.url, "b")).toBe(503);
		expect(await post(receiver.url, "b")).toBe(204);
		expect(await receiver.report()).toMatchObject({ requests: 3, verified: 2, refused: 1, rejected: 0 });

		await receiver.stop();
		await receiver.stop();
		expect(() => process.kill(receiver.pid, 0)).toThrow("ESRCH");
		await expect(receiver.report()).rejects.toThrow("The receiver process is gone.");
	});
});
