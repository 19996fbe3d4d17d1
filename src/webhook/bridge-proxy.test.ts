import { describe, expect, test } from "vitest";
import { setupBridge } from "../../test/support/bridge.ts";
import { startConnectProxy } from "../../test/support/connect-proxy.ts";

describe("createWebhookBridge() - network.proxy", () => {
	test("delivers through the proxy, to a name that only the proxy can resolve", async () => {
		const proxy = await startConnectProxy();
		const lookup = () => Promise.reject(new Error("unexpected lookup"));
		const network = { allowHttp: true, lookup, proxy: `http://127.0.0.1:${proxy.port}` };
		const { bus, bridge, receiver, delivered } = await setupBridge({
			decide: () => 204,
			options: { network },
		});
		const url = `http://hook.internal.example:${receiver.port}/hooks`;
		await bridge.endpoints.create({ url, events: ["**"] });
		const { event } = bus.emit("order.paid", {});
		expect((await delivered.next()).attempt.status).toBe(204);
		expect((await receiver.webhooks.next()).id).toBe(event.id);
		expect(proxy.requests.map(({ authority }) => authority)).toEqual([
			`hook.internal.example:${receiver.port}`,
		]);
	});

	test("logs a proxy that refuses as such, and tries again", async () => {
		const answers = [503, 200];
		const proxy = await startConnectProxy({ answer: () => answers.shift() });
		const network = { allowHttp: true, proxy: `http://127.0.0.1:${proxy.port}` };
		const { bus, bridge, clock, receiver, failed, delivered } = await setupBridge({
			decide: () => 204,
			options: { network },
		});
		await bridge.endpoints.create({ url: `http://hook.example:${receiver.port}/`, events: ["**"] });
		bus.emit("order.paid", {});
		expect((await failed.next()).attempt).toMatchObject({
			errorCode: "ERR_CALLHOOK_PROXY",
			errorClass: "proxy",
		});
		await clock.advance(5_000);
		expect((await delivered.next()).attempt.number).toBe(2);
	});
});
