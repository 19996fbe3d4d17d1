import fc from "fast-check";
import { expect, test } from "vitest";
import { createBus } from "../../src/bus/index.ts";
import { createPattern } from "../../src/event/index.ts";

const parameters = { seed: 20_260_104, numRuns: 1_500 };

/** What a program or a callback does, in this order. */
type Action =
	| ({
			readonly do: "on";
			readonly pattern: string;
			readonly priority: number;
			readonly once: boolean;
	  } & Scripted)
	| { readonly do: "end"; readonly which: number; readonly how: "call" | "off" | "abort" }
	| { readonly do: "emit"; readonly type: string }
	| { readonly do: "throw" };
type Scripted = { readonly script: readonly Action[]; readonly isAsync: boolean };
type Subscribe = Extract<Action, { do: "on" }>;
type Call = () => unknown;

/** The bus, or the model of it: `log` and `reports` must come out the same. */
interface World {
	readonly log: string[];
	subscribe(action: Subscribe, id: number, call: Call): void;
	end(id: number, how: "call" | "off" | "abort"): void;
	emit(type: string): void;
	/** How each consumer of each emission ended, in the order of the emits' ends. */
	reports(): Promise<string[]>;
}

function createRealWorld(): World {
	const log: string[] = [];
	const bus = createBus({ onError: (error, { name }) => void log.push(`${String(error)} under ${name}`) });
	const handles: { pattern: string; callback: Call; end: () => void; abort: () => void }[] = [];
	const reports: Promise<string>[] = [];
	return {
		log,
		subscribe({ pattern, priority, once }, id, call) {
			const controller = new AbortController();
			const callback = () => call();
			const end = bus.on(pattern, callback, { priority, once, signal: controller.signal });
			handles[id] = { pattern, callback, end, abort: () => controller.abort() };
		},
		end(id, how) {
			const { pattern, callback, end, abort } = handles[id]!;
			if (how === "call") end();
			else if (how === "abort") abort();
			else bus.off(pattern, callback);
		},
		emit(type) {
			const { settled } = bus.emit(type, type);
			reports.push(
				settled.then(({ outcomes }) => outcomes.map(({ name, status }) => `${name} ${status}`).join()),
			);
		},
		reports: () => Promise.all(reports),
	};
}

/** Delivery as the documentation tells it, without plans, caches or tables. */
function createModel(): World {
	interface Entry {
		readonly action: Subscribe;
		readonly call: Call;
		isActive: boolean;
		hasRun: boolean;
	}
	const log: string[] = [];
	const entries: Entry[] = [];
	const reports: Promise<string>[] = [];

	function deliver(entry: Entry): Promise<string> {
		const { pattern, once } = entry.action;
		if (once && entry.hasRun) return Promise.resolve(`${pattern} fulfilled`);
		entry.hasRun = true;
		if (once) entry.isActive = false;
		const failed = (error: unknown) => {
			log.push(`${String(error)} under ${pattern}`);
			return `${pattern} rejected`;
		};
		try {
			return Promise.resolve(entry.call()).then(() => `${pattern} fulfilled`, failed);
		} catch (error) {
			return Promise.resolve(failed(error));
		}
	}

	return {
		log,
		subscribe(action, id, call) {
			entries[id] = { action, call, isActive: true, hasRun: false };
		},
		end(id) {
			entries[id]!.isActive = false;
		},
		emit(type) {
			const listening = entries
				.filter(({ isActive, action }) => isActive && createPattern(action.pattern, "model").matches(type))
				.sort((a, b) => b.action.priority - a.action.priority);
			const outcomes = listening.map(deliver);
			reports.push(Promise.all(outcomes).then((texts) => texts.join()));
		},
		reports: () => Promise.all(reports),
	};
}

/** Runs a program; both worlds get the same ids for their subscriptions and the same limit on calls. */
async function play(world: World, program: readonly Action[]): Promise<string[]> {
	let nextId = 0;
	let callsLeft = 150;

	function run(actions: readonly Action[]): void {
		for (const action of actions) {
			if (action.do === "on") {
				const id = nextId++;
				world.subscribe(action, id, () => called(id, action));
			} else if (action.do === "end") {
				if (nextId > 0) world.end(action.which % nextId, action.how);
			} else if (action.do === "emit") {
				world.emit(action.type);
			} else {
				throw new Error("planned");
			}
		}
	}

	function called(id: number, { script, isAsync }: Subscribe): unknown {
		world.log.push(`call ${id}`);
		if (callsLeft-- <= 0) return undefined;
		if (!isAsync) return run(script);
		// What it does comes in this turn all the same; only its failure comes later.
		return (async () => run(script))();
	}

	for (const action of program) if (action.do !== "throw") run([action]);
	const reports = await world.reports();
	return [...world.log, ...reports];
}

const type = fc.constantFrom("a", "b", "a.b", "a.c", "b.c");
const pattern = fc.oneof(type, fc.constantFrom("*", "a.*", "*.c", "**", "a.**", "**.c"));
const { actions } = fc.letrec<{ actions: Action[]; action: Action }>((tie) => ({
	actions: fc.array(tie("action"), { maxLength: 4, depthIdentifier: "script" }),
	action: fc.oneof(
		{ depthSize: "small", withCrossShrink: true, depthIdentifier: "script" },
		{ weight: 6, arbitrary: fc.record({ do: fc.constant("emit" as const), type }) },
		{
			weight: 3,
			arbitrary: fc.record({
				do: fc.constant("end" as const),
				which: fc.nat({ max: 30 }),
				how: fc.constantFrom("call", "off", "abort"),
			}),
		},
		{ weight: 1, arbitrary: fc.record({ do: fc.constant("throw" as const) }) },
		{
			weight: 6,
			arbitrary: fc.record({
				...{ do: fc.constant("on" as const), pattern, once: fc.boolean(), isAsync: fc.boolean() },
				priority: fc.constantFrom(0, 0, 0, 1, -1, 0.5),
				script: tie("actions"),
			}),
		},
	),
}));

test("delivery - a random program of subscriptions, emits and errors runs as in the model", async () => {
	const seen = { calls: 0, errors: 0, nested: 0 };
	await fc.assert(
		fc.asyncProperty(fc.array(actions, { maxLength: 20 }), async (parts) => {
			const program = parts.flat();
			const expected = await play(createModel(), program);
			expect(await play(createRealWorld(), program)).toEqual(expected);
			seen.calls += expected.filter((text) => text.startsWith("call")).length;
			seen.errors += expected.filter((text) => text.startsWith("Error")).length;
			if (expected.length > 100) seen.nested++;
		}),
		parameters,
	);
	for (const [what, count] of Object.entries(seen))
		expect(count, `${what} are tried often`).toBeGreaterThan(100);
});
