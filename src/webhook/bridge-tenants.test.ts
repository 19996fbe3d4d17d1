import { describe, expect, test } from "vitest";
import { setupBridge } from "../../test/support/bridge.ts";

describe("tenantFrom", () => {
	test("gives an endpoint of a tenant only the events that say they are its", async () => {
		const setup = await setupBridge({ decide: () => 204, options: { tenantFrom: "metadata.tenant" } });
		const { bus, bridge, receiver, endpoint } = setup;
		const { id } = await endpoint({ tenant: "acme" }, "/acme");
		await endpoint({ tenant: "blue", where: { "data.n": 2 } }, "/blue");
		await endpoint({}, "/all");
		for (const [n, tenant] of [
			[1, "acme"],
			[2, "blue"],
			[3, "blue"],
			[4, undefined],
		] as const) {
			bus.emit("order.paid", { n }, tenant === undefined ? {} : { metadata: { tenant } });
		}
		await bridge.idle();
		const got = receiver.webhooks.items.map(
			({ path, message }) => `${path} ${(message.data as { n: number }).n}`,
		);
		expect(got.sort()).toEqual(["/acme 1", "/all 1", "/all 2", "/all 3", "/all 4", "/blue 2"]);
		await bridge.endpoints.update(id, { tenant: "blue" });
		bus.emit("order.paid", { n: 5 }, { metadata: { tenant: "blue" } });
		await bridge.idle();
		expect(
			receiver.webhooks.items
				.map(({ path }) => path)
				.slice(-2)
				.sort(),
		).toEqual(["/acme", "/all"]);
	});

	test("counts for what is missing, too", async () => {
		const setup = await setupBridge({ decide: () => 204, options: { tenantFrom: "data.account" } });
		const { bus, bridge, endpoint } = setup;
		for (const account of ["acme", "blue", "acme"]) await bus.emit("order.paid", { account }).stored;
		const { id } = await endpoint({ tenant: "acme" });
		const pick = { endpointId: id, missing: true, since: new Date(0) };
		expect(await bridge.deliveries.redeliver(pick, { dryRun: true })).toEqual({ count: 2 });
	});

	test("is left out: a tenant is only for lists", async () => {
		const { bus, bridge, receiver, endpoint } = await setupBridge({ decide: () => 204 });
		await endpoint({ tenant: "acme" });
		bus.emit("order.paid", {}, { metadata: { tenant: "blue" } });
		await bridge.idle();
		expect(receiver.webhooks.items).toHaveLength(1);
	});
});
