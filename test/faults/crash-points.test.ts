import { describe, expect, test } from "vitest";
import { startReceiver } from "../support/http-receiver.ts";
import type { CrashPoint, CrashPointsInput } from "./programs/crash-points.ts";
import { type Program, prepareProgram } from "./support/program.ts";
import { type StoreAtRest, type StoreKind, storeKinds } from "./support/stores.ts";

const launcher = await prepareProgram("crash-points");

function start(
	{ node }: StoreKind,
	{ place }: StoreAtRest,
	input: Partial<CrashPointsInput>,
	crashAt?: CrashPoint,
): Program {
	const env = crashAt === undefined ? {} : { CALLHOOK_CRASH_AT: crashAt };
	return launcher.start({ place, emits: false, ...input }, { node, env });
}

const killed = { code: null, signal: "SIGKILL" };
const finished = { code: 0, signal: null };

/** What a program said of the one event: what it did, and the attempt where it is a delivery. */
function story({ lines }: Program): string[] {
	return lines.map(([word, , attempt]) => (attempt === undefined ? word : `${word} ${attempt}`));
}

/** At each point: what the process that dies there says, and what the next one says, which finds what it left. */
const outcomes: readonly (readonly [CrashPoint, readonly string[], readonly string[]])[] = [
	["before-commit", ["emitted"], ["drained"]],
	["after-commit", ["emitted"], ["delivered 1", "drained"]],
	["after-claim", ["emitted", "stored"], ["delivered 2", "drained"]],
	["after-send", ["emitted", "stored", "delivered 1"], ["delivered 2", "drained"]],
	["before-settle", ["emitted", "stored", "delivered 1"], ["delivered 2", "drained"]],
	["after-settle", ["emitted", "stored", "delivered 1"], ["drained"]],
];

describe.each(storeKinds)("$name", (kind) => {
	test.runIf(kind.isThere).each(outcomes)("a process that dies %s", async (point, before, after) => {
		const store = await kind.open();
		const first = start(kind, store, { emits: true }, point);
		expect(await first.ended).toEqual(killed);
		expect(story(first)).toEqual(before);
		const second = start(kind, store, {});
		expect(await second.ended).toEqual(finished);
		expect(story(second)).toEqual(after);
		const eventIds = new Set([...first.lines, ...second.lines].slice(0, -1).map(([, eventId]) => eventId));
		expect(eventIds.size, "one event, whatever it went through").toBe(1);
		expect(await store.countStates()).toEqual(point === "before-commit" ? {} : { delivered: 1 });
		await store.checkIntegrity();
	});

	test.runIf(kind.isThere).each(["in-migration", "before-migration-commit"] as const)(
		"a process that dies %s leaves nothing in the way of the next",
		async (point) => {
			const store = await kind.open();
			for (let round = 0; round < 2; round++) {
				const first = start(kind, store, { emits: true }, point);
				expect(await first.ended).toEqual(killed);
				// PostgreSQL migrates when it is first asked for something.
				expect(story(first)).toEqual(store.place.driver === "postgres" ? ["emitted"] : []);
			}
			const second = start(kind, store, { emits: true });
			expect(await second.ended).toEqual(finished);
			expect(story(second)).toEqual(["emitted", "stored", "delivered 1", "drained"]);
			await store.checkIntegrity();
		},
	);

	test.runIf(kind.isThere)(
		"a webhook whose answer its sender did not live to see is sent again",
		async () => {
			const store = await kind.open();
			let isDead = false;
			const receiver = await startReceiver(() => (isDead ? 200 : undefined));
			const { port, webhooks } = receiver;
			const first = start(kind, store, { emits: true, port });
			await webhooks.next();
			first.signal("SIGKILL");
			expect(await first.ended).toEqual(killed);
			isDead = true;
			const { length: before } = webhooks.items;
			expect(await start(kind, store, { port }).ended).toEqual(finished);
			// A sender that is held up for longer than its short lease sends again: each is the same message.
			expect(webhooks.items.length).toBeGreaterThan(before);
			const [{ id, text } = { id: "", text: "" }] = webhooks.items;
			for (const webhook of webhooks.items) expect(webhook).toMatchObject({ id, text });
			expect(await store.countStates()).toEqual({ delivered: 1 });
		},
	);
});
