import { describe, expect, test } from "vitest";
import { claim as claimOf } from "../../test/support/claim-requests.ts";
import { optionOf, rejectionOf } from "../../test/support/thrown.ts";
import type { AttemptRecord, Claim, DeliveryState, SettleTo } from "../outbox/ports.ts";
import { memoryStore } from "../stores/memory/index.ts";
import { fakeClock } from "../testing/index.ts";
import { createDeliveries, type Delivery, type DeliveryQuery } from "./deliveries.ts";
import { createEndpointDirectory } from "./endpoint-directory.ts";
import { createRouter } from "./router.ts";
import { createSecretBox } from "./secret-box.ts";

const group = "webhooks";
const startMs = Date.parse("2026-01-02T00:00:00.000Z");
const failed: AttemptRecord = {
	number: 1,
	startedAt: "2026-01-02T00:00:00.000Z",
	durationMs: 7,
	outcome: "failed",
	status: 503,
	responseBody: "busy",
};

/** A store in which time stands still but for `add`, which moves it on by a second first. */
function setup() {
	const clock = fakeClock({ now: startMs });
	const store = memoryStore({ clock });
	const router = createRouter(() => [], group);
	const directory = createEndpointDirectory({
		...{ records: store.endpoints, clock, box: createSecretBox(undefined) },
		...{ onChange: () => undefined, onRoutes: () => undefined, lacks: () => undefined },
		report: () => undefined,
	});
	const { list, get } = createDeliveries({
		...{ store, group, directory, router },
		...{ forwards: () => true, recall: () => undefined },
	});
	let events = 0;

	async function add({ type = "order.paid", targets = ["ep_a"], delayMs = 0, inGroup = group } = {}) {
		await clock.advance(1_000);
		const id = `evt_${++events}`;
		const event = {
			id,
			type,
			time: new Date(clock.now()).toISOString(),
			source: "/",
			dataJson: "{}",
			metadataJson: "{}",
		};
		await store.append([
			{ event, deliveries: targets.map((target) => ({ group: inGroup, target, delayMs })) },
		]);
		return id;
	}

	async function claim(): Promise<readonly Claim[]> {
		return claimOf(store, { groups: [group] });
	}

	async function settleAll(to: SettleTo, attempt = failed): Promise<void> {
		await store.settle((await claim()).map(({ token }) => ({ token, to, attempt })));
	}
	return { clock, store, list, get, add, claim, settleAll };
}

/** One delivery in each state, named by the event it is of. */
async function oneOfEach() {
	const all = setup();
	const states: Record<string, DeliveryState> = {};
	for (const [state, to] of [
		["delivered", { state: "delivered" }],
		["dead", { state: "dead" }],
		["cancelled", { state: "cancelled" }],
		["waiting", { state: "waiting", retryInMs: 300_000 }],
	] as const) {
		states[await all.add()] = state;
		await all.settleAll(to);
	}
	states[await all.add()] = "in_flight";
	await all.claim();
	states[await all.add()] = "pending";
	return { ...all, states };
}

function eventIds({ items }: { readonly items: readonly Delivery[] }): string[] {
	return items.map(({ eventId }) => eventId);
}

describe("deliveries.list()", () => {
	test("is empty where there is nothing", async () => {
		const { list } = setup();
		expect(await list()).toStrictEqual({ items: [] });
	});

	test("shows a delivery with its attempts and what comes next", async () => {
		const { list, add, settleAll } = setup();
		const eventId = await add();
		const shown = { id: expect.stringMatching(/^dlv_/), eventId, endpointId: "ep_a", type: "order.paid" };
		const addedAt = "2026-01-02T00:00:01.000Z";
		expect((await list()).items).toStrictEqual([
			{ ...shown, state: "pending", attempts: [], addedAt, nextAttemptAt: addedAt },
		]);
		await settleAll({ state: "waiting", retryInMs: 5_000 });
		expect((await list()).items).toStrictEqual([
			{
				...shown,
				...{ state: "waiting", attempts: [failed], addedAt, nextAttemptAt: "2026-01-02T00:00:06.000Z" },
			},
		]);
	});

	test("promises no next attempt in a final state", async () => {
		const { list, states } = await oneOfEach();
		for (const { eventId, state, nextAttemptAt } of (await list()).items) {
			expect(state).toBe(states[eventId]);
			expect(nextAttemptAt !== undefined, state).toBe(["pending", "in_flight", "waiting"].includes(state));
		}
	});

	test("goes newest first", async () => {
		const { list, add } = setup();
		for (let i = 0; i < 3; i++) await add();
		expect(eventIds(await list())).toEqual(["evt_3", "evt_2", "evt_1"]);
	});

	test("hides what belongs to others: routing and durable handlers", async () => {
		const { list, get, add, store } = setup();
		await add({ inGroup: "webhooks:routing" });
		const other = (await store.query({}, {})).items[0];
		expect(other).toBeDefined();
		expect(await list()).toEqual({ items: [] });
		expect(await get(other?.id as string)).toBeUndefined();
	});
});

describe("deliveries.list() - filters", () => {
	test("picks each state", async () => {
		const { list, states } = await oneOfEach();
		expect(Object.keys(states)).toHaveLength(6);
		for (const [eventId, state] of Object.entries(states)) {
			expect(eventIds(await list({ state })), state).toEqual([eventId]);
		}
	});

	test("picks endpoint, event and type, and all of them together", async () => {
		const { list, add } = setup();
		const paid = await add({ targets: ["ep_a", "ep_b"] });
		const shipped = await add({ type: "order.shipped", targets: ["ep_b"] });
		expect(eventIds(await list({ endpointId: "ep_a" }))).toEqual([paid]);
		expect(eventIds(await list({ endpointId: "ep_b" }))).toEqual([shipped, paid]);
		expect(eventIds(await list({ eventId: paid }))).toEqual([paid, paid]);
		expect(eventIds(await list({ type: "order.shipped" }))).toEqual([shipped]);
		expect(eventIds(await list({ type: "order.*" }))).toEqual([]);
		expect(eventIds(await list({ endpointId: "ep_b", type: "order.paid", state: "pending" }))).toEqual([
			paid,
		]);
		expect(eventIds(await list({ endpointId: "ep_a", type: "order.shipped" }))).toEqual([]);
	});

	test("since takes its moment in, until leaves it out", async () => {
		const { list, add } = setup();
		for (let i = 0; i < 3; i++) await add();
		const at = (seconds: number) => new Date(startMs + seconds * 1_000);
		expect(eventIds(await list({ since: at(2) }))).toEqual(["evt_3", "evt_2"]);
		expect(eventIds(await list({ until: at(2) }))).toEqual(["evt_1"]);
		expect(eventIds(await list({ since: at(2), until: at(3) }))).toEqual(["evt_2"]);
		expect(eventIds(await list({ since: "2026-01-02T01:00:02+01:00" }))).toEqual(["evt_3", "evt_2"]);
		expect(eventIds(await list({ since: new Date(startMs + 2_001).toISOString() }))).toEqual(["evt_3"]);
	});

	test("treats undefined as not given", async () => {
		const { list, add } = setup();
		await add();
		const names = ["endpointId", "eventId", "type", "state", "since", "until", "limit", "cursor"];
		expect((await list(Object.fromEntries(names.map((name) => [name, undefined])))).items).toHaveLength(1);
	});
});

describe("deliveries.list() - pages", () => {
	test("cover everything once, filters included, whatever is added meanwhile", async () => {
		const { list, add } = setup();
		for (let i = 0; i < 5; i++) await add({ targets: ["ep_a", "ep_b"] });
		const pages: string[][] = [];
		let cursor: string | undefined;
		do {
			const page = await list({ endpointId: "ep_a", limit: 2, cursor });
			pages.push(eventIds(page));
			cursor = page.cursor;
			await add();
		} while (cursor !== undefined);
		expect(pages).toEqual([["evt_5", "evt_4"], ["evt_3", "evt_2"], ["evt_1"]]);
	});

	test("have no cursor when they are the last, full or not", async () => {
		const { list, add } = setup();
		for (let i = 0; i < 2; i++) await add();
		expect(await list({ limit: 3 })).not.toHaveProperty("cursor");
		expect(await list({ limit: 2 })).not.toHaveProperty("cursor");
		expect(await list({ limit: 1 })).toHaveProperty("cursor");
	});
});

const wrong: readonly (readonly [option: string, values: readonly unknown[]])[] = [
	["state", ["sent", "", "PENDING", null, 5]],
	["since", ["yesterday", "", new Date(Number.NaN), null, 5, true, {}]],
	["until", ["2026-13-01T00:00:00Z", null]],
	["endpointId", [null, 5, {}]],
	["eventId", [null, 5, ["evt_1"]]],
	["type", [null, 5]],
	["limit", [0, -1, 1.5, 1_001, "10", null, Number.NaN]],
	["cursor", [null, 5, {}]],
];

describe("deliveries.list() - refuses", () => {
	test.for(wrong)("a wrong %s", async ([option, values], { expect }) => {
		expect.assertions(values.length);
		const { list } = setup();
		for (const value of values) {
			const query = { [option]: value } as DeliveryQuery;
			expect(optionOf(await rejectionOf(list(query))), String(value)).toBe(option);
		}
	});

	test("a filter it does not know, and what is no object", async () => {
		const { list } = setup();
		for (const [query, option] of [
			[{ group: "x" }, "list.group"],
			[{ endpoint: "ep_a" }, "list.endpoint"],
			["pending", "list"],
			[null, "list"],
		] as const) {
			expect(optionOf(await rejectionOf(list(query as DeliveryQuery)))).toBe(option);
		}
	});
});

describe("deliveries.get()", () => {
	test("shows one as the list does, or nothing", async () => {
		const { list, get, add, settleAll } = setup();
		await add({ targets: ["ep_a", "ep_b"] });
		await settleAll({ state: "delivered" });
		for (const delivery of (await list()).items) expect(await get(delivery.id)).toStrictEqual(delivery);
		expect(await get("dlv_none")).toBeUndefined();
	});
});
