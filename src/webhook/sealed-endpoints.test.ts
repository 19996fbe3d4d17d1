import { describe, expect, test } from "vitest";
import { type Connected, connectBridge, setupBridge } from "../../test/support/bridge.ts";
import { rejectionOf } from "../../test/support/thrown.ts";
import type { CallhookError } from "../errors.ts";
import type { OutboxStore } from "../outbox/ports.ts";
import { fakeClock } from "../testing/index.ts";

const [keyA, keyB, keyC] = [1, 2, 3].map((byte) => Buffer.alloc(32, byte).toString("base64")) as [
	...[string, string, string],
];
const secret = `whsec_${Buffer.alloc(32, "s").toString("base64")}`;
const headers = { authorization: "Bearer hunter2hunter2", "x-tenant": "visible" };

async function documentOf(store: OutboxStore, id: string): Promise<string> {
	return (await store.endpoints.get(id))?.document ?? "";
}

/** The ids of the keys that a document is sealed under; `plain` where something is not. */
async function keysOf(store: OutboxStore, id: string): Promise<string[]> {
	const { keys, sealed } = JSON.parse(await documentOf(store, id)) as {
		readonly keys: readonly { readonly secret: string }[];
		readonly sealed?: string;
	};
	const texts = [...keys.map((key) => key.secret), ...(sealed === undefined ? [] : [sealed])];
	return [
		...new Set(
			texts.map((text) => (text.startsWith("sealed:1:") ? (text.split(":")[2] as string) : "plain")),
		),
	];
}

/** A bridge that has made an endpoint with secrets, and has stopped. */
async function sealedBefore(secretKey: string | undefined) {
	const clock = fakeClock();
	const setup = await setupBridge({ clock, decide: () => 204, options: { secretKey } });
	const { id } = await setup.endpoint({ secret, headers });
	await setup.bridge.stop();
	const connect = (keys: string | readonly string[] | undefined): Connected =>
		connectBridge(setup.receiver, setup.store, clock, { secretKey: keys });
	return { ...setup, id, connect };
}

describe("secrets at rest", () => {
	test("are in the store as they are without a key, and hidden with one", async () => {
		const plain = await sealedBefore(undefined);
		expect(await documentOf(plain.store, plain.id)).toContain(secret);
		const sealed = await sealedBefore(keyA);
		const document = await documentOf(sealed.store, sealed.id);
		for (const text of [secret, secret.slice(6), "hunter2", "visible", "authorization"])
			expect(document).not.toContain(text);
	});

	test("sign and are sent like others", async () => {
		const { bus, receiver, endpoint, bridge } = await setupBridge({
			...{ decide: () => 204, options: { secretKey: keyA } },
		});
		const { id } = await endpoint({ secret, headers });
		bus.emit("order.paid", {});
		const { headers: sent } = await receiver.webhooks.next();
		expect(sent).toMatchObject(headers);
		await bridge.idle();
		expect((await bridge.endpoints.getSecrets(id)).secret).toBe(secret);
		const { items } = await bridge.deliveries.list();
		expect(JSON.stringify(items)).not.toContain("hunter2");
		expect(items[0]?.attempts[0]?.requestHeaders).toMatchObject({
			...{ authorization: "(hidden)", "x-tenant": "visible" },
		});
	});

	test("are hidden under the new key, be they plain or under an old one, once the bridge has read them", async () => {
		const before = await sealedBefore(undefined);
		const { store, id, clock } = before;
		for (const keys of [keyA, [keyB, keyA], [keyC, keyB, keyA], keyC]) {
			const { bus, bridge, delivered } = before.connect(keys);
			bus.emit("order.paid", {});
			await delivered.next();
			await bridge.stop();
			const [only, ...more] = await keysOf(store, id);
			expect(more).toEqual([]);
			expect(only).not.toBe("plain");
			expect(await documentOf(store, id)).not.toContain(secret);
		}
		const last = before.connect(keyC);
		expect((await last.bridge.endpoints.getSecrets(id)).secret).toBe(secret);
		await clock.advance(0);
	});

	test("are hidden under the new key when their endpoint is written, also those that were rotated", async () => {
		const before = await sealedBefore(keyA);
		const { bridge } = before.connect([keyB, keyA]);
		await bridge.endpoints.rotateSecret(before.id);
		expect(await keysOf(before.store, before.id)).toHaveLength(1);
		await bridge.stop();
		const { bridge: later } = before.connect(keyB);
		expect((await later.endpoints.getSecrets(before.id)).previous).toMatchObject([{ secret }]);
	});

	test("are sealed anew once only, so that processes that do not agree come to an end", async () => {
		const before = await sealedBefore(keyA);
		const { clock, store, id } = before;
		const one = before.connect([keyB, keyA]);
		const other = before.connect([keyA, keyB]);
		const revisionOf = async () => (await store.endpoints.get(id))?.revision ?? 0;
		for (let seconds = 0; seconds < 10; seconds++) {
			for (const { bus } of [one, other]) bus.emit("order.paid", {});
			await clock.advance(1_000);
		}
		const revision = await revisionOf();
		for (let seconds = 0; seconds < 10; seconds++) {
			for (const { bus } of [one, other]) bus.emit("order.paid", {});
			await clock.advance(1_000);
		}
		expect(await revisionOf()).toBe(revision);
		await Promise.all([one.bridge.stop(), other.bridge.stop()]);
	});
});

describe("a key that does not fit", () => {
	test("is reported once; the deliveries of that endpoint wait, and others go on", async () => {
		const before = await sealedBefore(keyA);
		const { clock, id, receiver } = before;
		const wrong = before.connect(keyB);
		const good = await wrong.bridge.endpoints.create({ url: `${receiver.origin}/good`, events: ["**"] });
		for (let number = 0; number < 3; number++) {
			wrong.bus.emit("order.paid", { number });
			expect((await wrong.delivered.next()).target).toBe(good.id);
			await clock.advance(10_000);
		}
		expect(receiver.webhooks.items.map(({ path }) => path)).toEqual(["/good", "/good", "/good"]);
		const reported = wrong.errors.splice(0) as CallhookError[];
		expect(reported.map(({ code }) => code)).toEqual(["ERR_CALLHOOK_SECRET_KEY"]);
		expect(reported[0]?.details).toMatchObject({ endpointId: id });
		expect((await wrong.bridge.deliveries.list({ endpointId: id })).items).toMatchObject(
			Array(3).fill({ state: "pending", attempts: [] }),
		);
		await wrong.bridge.stop();
		const right = before.connect([keyB, keyA]);
		await right.delivered.take(3);
		await right.bridge.idle();
		expect(receiver.webhooks.items.slice(3).map(({ headers: sent }) => sent.authorization)).toEqual(
			Array(3).fill(headers.authorization),
		);
	});

	test("keeps its secret from being replaced with an overlap, which would hold the new one too", async () => {
		const before = await sealedBefore(keyA);
		const { bridge, bus, errors } = before.connect(keyB);
		const { id, store } = before;
		const document = await documentOf(store, id);
		const rotated: unknown[] = [];
		bus.observe("endpoint:rotated", (info) => void rotated.push(info));
		expect((await rejectionOf(bridge.endpoints.rotateSecret(id))).code).toBe("ERR_CALLHOOK_SECRET_KEY");
		expect(await documentOf(store, id)).toBe(document);
		expect(rotated).toEqual([]);
		const { secret: next } = await bridge.endpoints.rotateSecret(id, { overlapMs: 0 });
		expect((await bridge.endpoints.getSecrets(id)).secret).toBe(next);
		expect(errors.splice(0)).toHaveLength(1);
	});

	test("loses nothing by an update: that is refused", async () => {
		const before = await sealedBefore(keyA);
		const { bridge, errors } = before.connect(undefined);
		const { id, store } = before;
		const document = await documentOf(store, id);
		for (const call of [
			bridge.endpoints.update(id, { description: "x" }),
			bridge.endpoints.getSecrets(id),
			bridge.endpoints.ping(id),
		]) {
			const error = await rejectionOf(call);
			expect(error.code).toBe("ERR_CALLHOOK_SECRET_KEY");
			expect(error.message).not.toMatch(/hunter2|whsec/);
		}
		expect(await documentOf(store, id)).toBe(document);
		expect((await bridge.endpoints.disable(id)).state).toBe("disabled");
		expect(await bridge.endpoints.list()).toMatchObject({ items: [{ id }] });
		expect(await bridge.endpoints.delete(id)).toBe(true);
		expect(errors.splice(0)).toHaveLength(1);
	});
});
