import assert from "node:assert/strict";
import {
	add,
	attempt,
	claim,
	claimOne,
	delivery,
	expectNoClaim,
	expectSettled,
	longMs,
	query,
	settle,
	waiting,
} from "./fixtures.ts";
import type { StoreCheck } from "./harness.ts";

export const endpointChecks: readonly StoreCheck[] = [
	{
		name: "endpoints - put() and get() keep the document to the byte; put() again replaces it",
		async check({ store: { endpoints } }) {
			const document = ' {"b":1.0, "a":"é 𝒳 \\u0000"} ';
			assert.equal(await endpoints.get("ep_1"), undefined);
			await endpoints.put({ id: "ep_1", document });
			assert.deepEqual(await endpoints.get("ep_1"), { id: "ep_1", document });
			await endpoints.put({ id: "ep_1", document: "{}" });
			assert.deepEqual(await endpoints.get("ep_1"), { id: "ep_1", document: "{}" });
			assert.deepEqual(await endpoints.list({}), { items: [{ id: "ep_1", document: "{}" }] });
		},
	},
	{
		name: "endpoints - list() oldest first, in pages; a replaced one keeps its place",
		async check({ store: { endpoints } }) {
			assert.deepEqual(await endpoints.list({}), { items: [] });
			for (const id of ["ep_1", "ep_2", "ep_3", "ep_4"]) await endpoints.put({ id, document: "{}" });
			await endpoints.put({ id: "ep_1", document: "[]" });
			const first = await endpoints.list({ limit: 2 });
			assert.deepEqual(first.items, [
				{ id: "ep_1", document: "[]" },
				{ id: "ep_2", document: "{}" },
			]);
			assert.ok(first.cursor !== undefined, "a page with more behind it should have a cursor");
			await endpoints.put({ id: "ep_5", document: "{}" });
			await endpoints.delete("ep_2");
			const second = await endpoints.list({ limit: 3, cursor: first.cursor });
			assert.deepEqual(
				second.items.map(({ id }) => id),
				["ep_3", "ep_4", "ep_5"],
			);
			assert.equal(second.cursor, undefined);
		},
	},
	{
		name: "endpoints - delete() says whether there was one, and does nothing otherwise",
		async check({ store }) {
			const { endpoints } = store;
			await endpoints.put({ id: "ep_1", document: "{}" });
			assert.equal(await endpoints.delete("ep_1"), true);
			assert.equal(await endpoints.delete("ep_1"), false);
			assert.equal(await endpoints.get("ep_1"), undefined);
			await add(store, ["evt_1"], delivery({ target: "ep_1" }));
			assert.equal(await endpoints.delete("ep_1"), false);
			await claimOne(store);
		},
	},
	{
		name: "endpoints - delete() of what is no endpoint touches no delivery, whatever its target is called",
		async check({ store }) {
			await add(store, ["evt_1"]);
			const items = await query(store);
			assert.equal(await store.endpoints.delete((items[0] as { target: string }).target), false);
			assert.deepEqual(await query(store), items);
		},
	},
	{
		name: "endpoints - delete() cancels the unfinished deliveries of the endpoint and no others",
		async check({ store }) {
			await store.endpoints.put({ id: "ep_1", document: "{}" });
			const toEndpoint = delivery({ target: "ep_1" });
			await add(store, ["evt_1", "evt_2"], toEndpoint);
			const [first, second] = await claim(store);
			assert.ok(first && second);
			await expectSettled(store, first, "delivered", attempt(1));
			await expectSettled(store, second, waiting(longMs));
			await add(store, ["evt_3"], toEndpoint);
			const inFlight = await claimOne(store);
			await add(store, ["evt_4"], toEndpoint);
			await add(store, ["evt_5"], delivery({ target: "ep_2" }));
			assert.equal(await store.endpoints.delete("ep_1"), true);
			assert.deepEqual((await query(store)).map(({ eventId, state }) => `${eventId} ${state}`).reverse(), [
				"evt_1 delivered",
				"evt_2 cancelled",
				"evt_3 cancelled",
				"evt_4 cancelled",
				"evt_5 pending",
			]);
			assert.equal(await settle(store, inFlight, "delivered"), "lost");
			await expectSettled(store, await claimOne(store), "delivered");
			await expectNoClaim(store, "the endpoint is gone");
		},
	},
];
