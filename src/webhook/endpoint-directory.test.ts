import { describe, expect, test, vi } from "vitest";
import { connectBridge, setupBridge } from "../../test/support/bridge.ts";
import { rejectionOf } from "../../test/support/thrown.ts";
import { createDeferred } from "../internal/deferred.ts";
import type { EndpointChange, OutboxStore } from "../outbox/ports.ts";
import { memoryStore } from "../stores/memory/index.ts";
import { fakeClock } from "../testing/index.ts";
import type { EndpointDocument } from "./endpoint.ts";
import { createEndpointDirectory } from "./endpoint-directory.ts";
import { type EndpointHealth, healthy } from "./endpoint-health.ts";
import { createSecretBox } from "./secret-box.ts";

function documentOf(id: string, health?: EndpointHealth): EndpointDocument {
	return {
		...{ id, createdAt: "2026-01-01T00:00:00.000Z", updatedAt: "2026-01-01T00:00:00.000Z", health },
		settings: {
			...{ url: "https://hook.example/", events: ["**"], concurrency: 4, order: "none", format: "standard" },
		},
		keys: [{ scheme: "v1", secret: `whsec_${Buffer.alloc(32, id).toString("base64")}` }],
	};
}

function setup(store: OutboxStore = memoryStore(), clock = fakeClock()) {
	const changed: string[] = [];
	const errors: unknown[] = [];
	let routes = 0;
	const directory = createEndpointDirectory({
		...{ records: store.endpoints, clock, box: createSecretBox(undefined), lacks: () => undefined },
		onChange: (id) => void changed.push(id),
		onRoutes: () => void routes++,
		report: (error) => void errors.push(error),
	});
	return { store, clock, directory, changed, errors, countRoutes: () => routes };
}

const paused = (untilMs: number): EndpointHealth => ({
	...{ failures: 5, failingSinceMs: 0, warnings: 0, pause: { untilMs, reason: "failures", level: 1 } },
});

describe("an endpoint directory", () => {
	test("does not bring back what was deleted while it was read", async () => {
		const { store, directory } = setup();
		await directory.add(documentOf("a"));
		const other = setup(store).directory;
		const read = createDeferred<readonly EndpointChange[]>();
		const changes = await store.endpoints.changes(0, 10);
		vi.spyOn(store.endpoints, "changes").mockReturnValueOnce(read.promise);
		const reloading = other.reload();
		await other.delete("a");
		read.resolve(changes);
		await reloading;
		expect(other.get("a")).toBeUndefined();
		await other.reload();
		expect([...other.values()]).toEqual([]);
	});

	test("tells of the end of each pause, at its time, with one timer for all", async () => {
		const { store, clock } = setup();
		const nowMs = clock.now();
		const writer = setup(store, clock).directory;
		for (let count = 1; count <= 20; count++)
			await writer.add(documentOf(`e${count}`, paused(nowMs + count * 1_000)));
		const { directory, changed } = setup(store, clock);
		await directory.reload();
		expect([...directory.closed()]).toHaveLength(20);
		changed.length = 0;
		await clock.advance(5_000);
		expect(changed).toEqual(["e1", "e2", "e3", "e4", "e5"]);
		expect([...directory.closed()]).toHaveLength(15);
		// One for each directory.
		expect(clock.timers).toBe(2);
		await directory.stop();
		await writer.stop();
		expect(clock.timers).toBe(0);
	});

	test("tells of the end of a pause that was made longer once, at the end", async () => {
		const { clock, directory, changed } = setup();
		await directory.add(documentOf("a"));
		const nowMs = clock.now();
		directory.setHealth("a", paused(nowMs + 10_000));
		directory.setHealth("a", paused(nowMs + 20_000));
		await clock.advance(5_000);
		changed.length = 0;
		await clock.advance(14_999);
		expect(changed).toEqual([]);
		await clock.advance(1);
		expect(changed).toEqual(["a"]);
		await directory.stop();
	});

	test("routes anew when what events an endpoint gets has changed, not when its health or its keys have", async () => {
		const { clock, directory, countRoutes } = setup();
		await directory.add(documentOf("a"));
		const before = countRoutes();
		directory.setHealth("a", paused(clock.now() + 1_000));
		await clock.advance(2_000);
		await directory.edit("a", (document) => ({ ...document, keys: [...document.keys] }));
		expect(countRoutes()).toBe(before);
		await directory.edit("a", ({ settings, ...rest }) => ({
			...rest,
			settings: { ...settings, events: ["a"] },
		}));
		expect(countRoutes()).toBe(before + 1);
		await directory.edit("a", (document) => ({ ...document, disabled: { reason: "manual", at: "" } }));
		expect(countRoutes()).toBe(before + 2);
		await directory.stop();
	});

	test("writes the health a second later, at once when it stops, and never over a pause of others", async () => {
		const { store, clock, directory } = setup();
		await directory.add(documentOf("a"));
		const healthIn = async () =>
			(JSON.parse((await store.endpoints.get("a"))?.document ?? "") as EndpointDocument).health;
		const own: EndpointHealth = { failures: 1, failingSinceMs: 5, warnings: 0 };
		directory.setHealth("a", own);
		await clock.advance(999);
		expect(await healthIn()).toBeUndefined();
		await directory.edit("a", (document) => ({ ...document, health: paused(clock.now() + 60_000) }));
		await clock.advance(1);
		expect(await healthIn()).toEqual({ ...paused(clock.now() - 1 + 60_000), failingSinceMs: 0 });
		expect([...directory.closed()]).toEqual(["a"]);
		directory.setHealth("a", healthy);
		await directory.stop();
		expect(await healthIn()).toEqual(healthy);
	});

	test("tries again to write where the store fails, and stops trying where it is closed", async () => {
		const { store, clock, directory, errors } = setup();
		await directory.add(documentOf("a"));
		const put = vi.spyOn(store.endpoints, "put").mockRejectedValueOnce(new Error("busy"));
		directory.setHealth("a", paused(clock.now() + 1));
		await clock.advance(1_000);
		await clock.advance(1_000);
		expect(put).toHaveBeenCalledTimes(2);
		expect(errors.splice(0)).toHaveLength(1);
		await store.close();
		directory.setHealth("a", healthy);
		await clock.advance(10_000);
		expect(errors).toHaveLength(1);
		expect(clock.timers).toBe(0);
		await directory.stop();
		expect(errors).toHaveLength(1);
	});
});

describe("a document that this version cannot read", () => {
	test("holds its own deliveries, and nothing else; it is reported once and not quoted", async () => {
		const clock = fakeClock();
		const first = await setupBridge({ clock, decide: () => 204 });
		const { id } = await first.endpoint({}, "/newer");
		const { stored } = first.bus.emit("order.paid", { number: 0 });
		await first.bridge.idle();
		await stored;
		await first.bridge.stop();
		const { store, receiver } = first;
		const record = await store.endpoints.get(id);
		const newer = (record?.document ?? "").replace(
			'"events":',
			'"where":{"data.a":{"newer":"hunter2"}},"events":',
		);
		await store.endpoints.put({ id, document: newer });
		await store.append([
			{
				event: { id: "e", type: "order.paid", time: "", source: "/", dataJson: "{}", metadataJson: "{}" },
				deliveries: [{ group: "webhooks", target: id }],
			},
		]);
		const second = connectBridge(receiver, store, clock);
		const good = await second.bridge.endpoints.create({ url: `${receiver.origin}/good`, events: ["**"] });
		second.bus.emit("order.paid", { number: 1 });
		expect((await second.delivered.next()).target).toBe(good.id);
		await clock.advance(20_000);
		expect((await second.bridge.deliveries.list({ endpointId: id, state: "pending" })).items).toHaveLength(1);
		expect((await second.bridge.endpoints.list()).items.map((each) => each.id)).toEqual([id, good.id]);
		const refusal = await rejectionOf(second.bridge.endpoints.update(id, { description: "new" }));
		expect(refusal.code).toBe("ERR_CALLHOOK_INVALID_ENDPOINT");
		expect((await store.endpoints.get(id))?.document).toBe(newer);
		const reported = second.errors.splice(0).map(String);
		expect(reported).toHaveLength(1);
		expect(reported[0]).toContain(id);
		expect(reported[0]).not.toContain("hunter2");
	});
});
