import assert from "node:assert/strict";
import { isCallhookError } from "../../errors.ts";
import type { OutboxStore } from "../../outbox/ports.ts";
import { add, claim, claimOne, delivery, newEvent, requestsFor } from "./fixtures.ts";
import type { StoreCheck } from "./harness.ts";

/** Every call of the port that answers with a promise. */
const calls: Readonly<Record<string, (store: OutboxStore, token: string) => Promise<unknown>>> = {
	append: (store) => store.append([newEvent("evt_2", delivery())]),
	claim: (store) => claim(store),
	extend: (store, token) => store.extend([token], 1_000),
	settle: (store, token) => store.settle([{ token, to: { state: "delivered" } }]),
	release: (store, token) => store.release([token]),
	query: (store) => store.query({}, {}),
	replay: (store) => store.replay({}),
	cancel: (store) => store.cancel({}),
	getEvents: (store) => store.getEvents(["evt_1"]),
	prune: (store) => store.prune({ limit: 1 }),
	pruneEvents: (store) => store.pruneEvents({ limit: 1 }),
	stats: (store) => store.stats(),
	nextDueInMs: (store) => store.nextDueInMs(requestsFor()),
	"endpoints.put": (store) => store.endpoints.put({ id: "ep_1", document: "{}" }),
	"endpoints.get": (store) => store.endpoints.get("ep_1"),
	"endpoints.list": (store) => store.endpoints.list({}),
	"endpoints.delete": (store) => store.endpoints.delete("ep_1"),
};

export const closingChecks: readonly StoreCheck[] = [
	{
		name: "close() - from then on every call rejects with ERR_CALLHOOK_CLOSED",
		async check({ store }) {
			await add(store, ["evt_1"]);
			const { token } = await claimOne(store);
			await store.close();
			for (const [name, call] of Object.entries(calls)) {
				await assert.rejects(
					call(store, token),
					(error) => isCallhookError(error, "ERR_CALLHOOK_CLOSED"),
					`${name}() of a closed store should reject with ERR_CALLHOOK_CLOSED`,
				);
			}
		},
	},
	{
		name: "close() - may be called again",
		async check({ store }) {
			await store.close();
			await store.close();
		},
	},
];
