// What is opened and ended very often leaves nothing: no subscription, timer, listener, memory.
import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { beforeAll, describe, expect, test } from "vitest";

interface Usage {
	readonly subscriptions: Record<string, number>;
	readonly handlers: number;
	readonly open: number;
	readonly timers: number;
	readonly listeners: number;
	readonly heapBytes: number;
}

const src = (file: string): string => JSON.stringify(new URL(`../../src/${file}`, import.meta.url).href);

/** What each does, over and over. */
const rounds: Record<string, string> = {
	"callbacks that come and go": `
		bus.on("job", noop)();
		bus.on("*", noop, { signal, once: true })();
		bus.on("job", noop, { replay: 1 });
		bus.off("job", noop);`,
	"callbacks for once": `
		bus.once("job", noop, { signal });
		bus.emit("job", round);`,
	"waits that resolve": `
		const waiting = bus.waitFor("job", { signal, timeoutMs: 60_000 });
		bus.emit("job", round);
		await waiting;`,
	"waits one after the other": `
		const waiting = bus.waitFor("job").then(() => bus.waitFor("other", { signal, timeoutMs: 60_000 }));
		bus.emit("job", round);
		bus.emit("other", round);
		await waiting;`,
	"waits that time out": `
		const waiting = bus.waitFor("job", { signal, timeoutMs: 1 }).catch(noop);
		clock.fire();
		await waiting;`,
	"waits that are aborted": `
		const controller = new AbortController();
		const waiting = bus.waitFor("job", { signal: controller.signal, timeoutMs: 60_000 }).catch(noop);
		controller.abort();
		await waiting;`,
	"streams that are left": `
		const stream = bus.stream("job", { signal, buffer: 2 });
		for (let count = 0; count < 3; count++) bus.emit("job", round);
		for await (const event of stream) break;`,
	"streams that are aborted": `
		const controller = new AbortController();
		const stream = bus.stream("job", { signal: controller.signal });
		const next = stream.next();
		controller.abort();
		await next;
		bus.stream("job", { signal: controller.signal });`,
	"handlers that are stopped": `
		const handler = bus.handle("job", noop, { concurrency: 1, timeoutMs: 60_000 });
		bus.emit("job", round);
		await handler.stop();`,
	"attempts with a time limit": `
		await bus.emit("timed", round).settled;`,
	"delayed and held events": `
		const held = bus.hold();
		held.emit("job", round);
		held.emit("job", round, { delayMs: 60_000 }).cancel();
		if (round % 2 === 0) held.release(); else held.discard();
		bus.emit("job", round, { delayMs: 60_000 }).cancel();`,
	"middleware that comes and goes": `
		const ends = [bus.use((event, next) => next(event), { around: "emit" }), bus.use((event, next) => next(event))];
		await bus.emit("timed", round).settled;
		for (const end of ends) end();`,
};

/** How often. */
const times = 100_000;

// A process of its own, which can collect its garbage.
const script = `
import { getEventListeners } from "node:events";
import { createBus, defineEvents } from ${src("index.ts")};
const timers = new Map();
let lastTimer = 0;
const clock = {
	now: () => 0,
	setTimeout: (callback) => (timers.set(++lastTimer, callback), lastTimer),
	clearTimeout: (timer) => void timers.delete(timer),
	fire() {
		for (const [timer, callback] of timers) {
			timers.delete(timer);
			callback();
		}
	},
};
const schema = { "~standard": { version: 1, vendor: "test", validate: (value) => ({ value }) } };
const events = defineEvents({ job: { schema, retain: 1 }, other: schema, timed: schema });
const bus = createBus({ clock, events });
const { signal } = new AbortController();
const noop = () => undefined;
bus.handle("timed", async () => undefined, { timeoutMs: 60_000 });
const usages = {};
async function run(count, doRound) {
	for (let round = 0; round < count; round++) await doRound(round);
	for (let turn = 0; turn < 4; turn++) await new Promise((resolve) => setImmediate(resolve));
	for (let time = 0; time < 3; time++) globalThis.gc();
	const { subscriptions, handlers, open } = bus.stats();
	const heapBytes = process.memoryUsage().heapUsed;
	const listeners = getEventListeners(signal, "abort").length;
	return { subscriptions, handlers: handlers.length, open, timers: timers.size, listeners, heapBytes };
}
${Object.entries(rounds)
	.map(
		([name, round]) => `{
	const doRound = async (round) => {${round}
	};
	usages[${JSON.stringify(name)}] = [await run(3_000, doRound), await run(${times}, doRound)];
}`,
	)
	.join("\n")}
console.log(JSON.stringify(usages));
`;

describe("leave nothing behind:", () => {
	let usages: Record<string, readonly [before: Usage, after: Usage]>;

	beforeAll(async () => {
		const args = ["--expose-gc", "--import", "tsx", "--input-type=module", "--eval", script];
		const { stdout, stderr } = await promisify(execFile)(process.execPath, args, { timeout: 290_000 });
		expect(stderr).toBe("");
		usages = JSON.parse(stdout);
	}, 300_000);

	test.each(Object.keys(rounds))(`${times.toLocaleString("en")} %s`, (name) => {
		const [before, after] = usages[name]!;
		expect({ ...after, heapBytes: 0 }).toEqual({
			...{ subscriptions: { timed: 1 }, handlers: 1, open: 0 },
			...{ timers: 0, listeners: 0, heapBytes: 0 },
		});
		// What compiled code takes is half a megabyte at most; waits and streams that are kept take 200 MB and more.
		expect(after.heapBytes - before.heapBytes).toBeLessThan(1_500_000);
	});
});
