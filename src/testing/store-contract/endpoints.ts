import assert from "node:assert/strict";
import type { EndpointRecord, EndpointRecords } from "../../outbox/ports.ts";
import {
	add,
	attempt,
	claim,
	claimOne,
	delivery,
	expectNoClaim,
	expectSettled,
	longMs,
	plain,
	query,
	settle,
	waiting,
} from "./fixtures.ts";
import type { StoreCheck } from "./harness.ts";

const showDocument = ({ id, document }: EndpointRecord): string => `${id} ${document}`;

async function documents(endpoints: EndpointRecords, tenant?: string): Promise<string[]> {
	return (await endpoints.list({ tenant })).items.map(showDocument);
}

export const endpointChecks: readonly StoreCheck[] = [
	{
		name: "endpoints - put() and get() keep the document to the byte; put() again replaces it",
		async check({ store: { endpoints } }) {
			const document = ' {"b":1.0, "a":"é 𝒳 \\u0000"} ';
			assert.equal(await endpoints.get("ep_1"), undefined);
			await endpoints.put({ id: "ep_1", document });
			assert.equal((await endpoints.get("ep_1"))?.document, document);
			const revision = await endpoints.put({ id: "ep_1", document: "{}" });
			assert.deepEqual(plain((await endpoints.get("ep_1")) ?? {}), { id: "ep_1", document: "{}", revision });
			assert.deepEqual(await documents(endpoints), ["ep_1 {}"]);
		},
	},
	{
		name: "endpoints - list() oldest first, in pages; a replaced one keeps its place",
		async check({ store: { endpoints } }) {
			assert.deepEqual(await endpoints.list({}), { items: [] });
			for (const id of ["ep_1", "ep_2", "ep_3", "ep_4"]) await endpoints.put({ id, document: "{}" });
			await endpoints.put({ id: "ep_1", document: "[]" });
			const first = await endpoints.list({ limit: 2 });
			assert.deepEqual(first.items.map(showDocument), ["ep_1 []", "ep_2 {}"]);
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
	{
		name: "endpoints - list() of one tenant, in pages",
		async check({ store: { endpoints } }) {
			for (const [id, tenant] of [["ep_1", "a"], ["ep_2", "b"], ["ep_3", "a"], ["ep_4"], ["ep_5", "a"]]) {
				await endpoints.put({ id: id as string, tenant, document: "{}" });
			}
			assert.equal((await endpoints.get("ep_2"))?.tenant, "b");
			const first = await endpoints.list({ tenant: "a", limit: 2 });
			const second = await endpoints.list({ tenant: "a", limit: 2, cursor: first.cursor });
			assert.deepEqual([...first.items, ...second.items].map(showDocument), [
				"ep_1 {}",
				"ep_3 {}",
				"ep_5 {}",
			]);
			assert.equal(second.cursor, undefined);
			await endpoints.put({ id: "ep_1", tenant: "b", document: "{}" });
			await endpoints.put({ id: "ep_5", document: "{}" });
			assert.deepEqual(await documents(endpoints, "a"), ["ep_3 {}"]);
			assert.deepEqual(await documents(endpoints, "b"), ["ep_1 {}", "ep_2 {}"]);
			assert.deepEqual(await documents(endpoints, "c"), []);
		},
	},
	{
		name: "endpoints - put() with ifRevision changes what nobody else has changed, and creates what is not there",
		async check({ store: { endpoints } }) {
			assert.equal(await endpoints.put({ id: "ep_1", document: "1" }, 7), undefined);
			assert.equal(await endpoints.get("ep_1"), undefined);
			const first = await endpoints.put({ id: "ep_1", document: "1" }, 0);
			assert.ok(first !== undefined && first > 0);
			assert.equal(await endpoints.put({ id: "ep_1", document: "2" }, 0), undefined);
			const second = await endpoints.put({ id: "ep_1", document: "2" }, first);
			assert.ok(second !== undefined && second > first);
			assert.equal(await endpoints.put({ id: "ep_1", document: "3" }, first), undefined);
			assert.deepEqual(await documents(endpoints), ["ep_1 2"]);
			await endpoints.delete("ep_1");
			assert.equal(await endpoints.put({ id: "ep_1", document: "4" }, second), undefined);
			assert.ok((await endpoints.put({ id: "ep_1", document: "4" }, 0)) !== undefined);
			assert.deepEqual(await documents(endpoints), ["ep_1 4"]);
		},
	},
	{
		name: "endpoints - of parallel puts with the same revision one succeeds",
		async check({ store: { endpoints } }) {
			const revision = await endpoints.put({ id: "ep_1", document: "0" });
			const put = (index: number) => endpoints.put({ id: "ep_1", document: String(index) }, revision);
			const results = await Promise.all(Array.from({ length: 8 }, (_, index) => put(index + 1)));
			assert.equal(results.filter((result) => result !== undefined).length, 1);
			const winner = results.findIndex((result) => result !== undefined);
			assert.deepEqual(await documents(endpoints), [`ep_1 ${winner + 1}`]);
		},
	},
	{
		name: "endpoints - changes() gives the last change of each behind a revision, in order, deletions too",
		async check({ store: { endpoints } }) {
			assert.deepEqual(await endpoints.changes(0, 10), []);
			for (const id of ["ep_1", "ep_2", "ep_3"]) await endpoints.put({ id, document: "{}" });
			const all = await endpoints.changes(0, 10);
			assert.deepEqual(
				all.map(({ id, record }) => `${id} ${record?.document}`),
				["ep_1 {}", "ep_2 {}", "ep_3 {}"],
			);
			const seen = all.at(-1)?.revision as number;
			assert.deepEqual(await endpoints.changes(seen, 10), []);
			await endpoints.delete("ep_2");
			await endpoints.put({ id: "ep_1", tenant: "a", document: "[]" });
			await endpoints.put({ id: "ep_1", tenant: "a", document: "[1]" });
			const later = await endpoints.changes(seen, 10);
			assert.deepEqual(
				later.map(({ id, record }) => [id, record?.tenant, record?.document]),
				[
					["ep_2", undefined, undefined],
					["ep_1", "a", "[1]"],
				],
			);
			assert.deepEqual(await endpoints.changes(seen, 1), later.slice(0, 1));
			assert.equal((await endpoints.get("ep_1"))?.revision, later[1]?.revision);
			assert.deepEqual(await endpoints.changes(later[1]?.revision as number, 10), []);
		},
	},
];
