import { describe, expect, test } from "vitest";
import { createIntake, type Intake, type Overflow } from "./intake.ts";

interface Job {
	readonly name: string;
	readonly key: string | undefined;
}

/** An intake before a queue that starts jobs when the test says so, and a log of what the host was told. */
function setup(overflow: Overflow, limit = 2) {
	const queue: Job[] = [];
	const log: string[] = [];
	let onTold: (what: string) => void = () => undefined;
	const tell = (what: string, { name }: Job) => {
		log.push(`${what} ${name}`);
		onTold(`${what} ${name}`);
	};
	const intake: Intake<Job> = createIntake<Job>(
		{ limit, overflow },
		{
			size: () => queue.length,
			admit: (job) => void queue.push(job),
			remove: (job) => void queue.splice(queue.indexOf(job), 1),
			keyOf: ({ key }) => key,
			replace: (waiting, newer) => void log.push(`${newer.name} replaces ${waiting.name}`),
			onBlocked: (job) => tell("blocked", job),
			onUnblocked: (job) => tell("unblocked", job),
			onExceeded: (job) => tell("exceeded", job),
			onDropped: (job) => tell("dropped", job),
			onRejected: (job) => tell("rejected", job),
		},
	);
	const jobOf = (name: string): Job => ({ name, key: name.includes(":") ? name.split(":")[0] : undefined });
	return {
		intake,
		queue,
		log,
		push(...names: string[]) {
			for (const name of names) intake.push(jobOf(name), false);
		},
		/** Pushes what a handler emits. */
		pushInside(...names: string[]) {
			for (const name of names) intake.push(jobOf(name), true);
		},
		/** Starts the job at this place in the queue. */
		start(at = 0) {
			const [job] = queue.splice(at, 1);
			intake.started(job as Job);
			return job as Job;
		},
		names: () => queue.map(({ name }) => name),
		whenTold(observer: (what: string) => void) {
			onTold = observer;
		},
	};
}

const all: readonly Overflow[] = ["block", "reject", "drop-oldest", "drop-newest", "coalesce"];

describe("an intake", () => {
	test.each(all)("lets in what there is room for and tells nobody (%s)", (overflow) => {
		const { push, start, names, log, intake } = setup(overflow);
		push("a", "k:1");
		start();
		push("b");
		expect(names()).toEqual(["k:1", "b"]);
		expect(log).toEqual([]);
		expect(intake.blocked).toBe(0);
	});
});

describe("block", () => {
	test("keeps what is too much outside and lets it in, in its order, as jobs start", () => {
		const { push, start, names, log, intake } = setup("block");
		push("a", "b", "c", "d");
		expect(names()).toEqual(["a", "b"]);
		expect(intake.blocked).toBe(2);
		start();
		expect(names()).toEqual(["b", "c"]);
		start();
		expect(names()).toEqual(["c", "d"]);
		expect(intake.blocked).toBe(0);
		expect(log).toEqual(["blocked c", "blocked d", "unblocked c", "unblocked d"]);
	});

	test("lets nobody in before those who already wait outside", () => {
		const { queue, push, names, intake } = setup("block");
		push("a", "b", "c");
		queue.pop();
		push("d");
		expect(names()).toEqual(["a"]);
		expect(intake.blocked).toBe(2);
	});

	test("lets in as many at once as there is room for", () => {
		const { queue, push, intake, names } = setup("block");
		push("a", "b", "c", "d", "e");
		const [first] = queue.splice(0);
		intake.started(first as Job);
		expect(names()).toEqual(["c", "d"]);
		expect(intake.blocked).toBe(1);
	});

	test("lets in what must not wait, full or not, and says so only when it is full", () => {
		const { push, pushInside, names, log, intake } = setup("block");
		pushInside("a");
		push("b", "c");
		pushInside("d");
		expect(names()).toEqual(["a", "b", "d"]);
		expect(intake.blocked).toBe(1);
		expect(log).toEqual(["blocked c", "exceeded d"]);
	});

	test("lets in with it what waits outside with its key, so that the key keeps its order", () => {
		const { push, pushInside, names, log, intake } = setup("block");
		push("a", "b", "k:1", "l:1", "k:2", "c");
		pushInside("k:3");
		expect(names()).toEqual(["a", "b", "k:1", "k:2", "k:3"]);
		expect(intake.blocked).toBe(2);
		expect(log.slice(4)).toEqual([
			...["unblocked k:1", "unblocked k:2", "exceeded k:1", "exceeded k:2", "exceeded k:3"],
		]);
		pushInside("d");
		expect(names(), "without a key there is no order to keep").toEqual(["a", "b", "k:1", "k:2", "k:3", "d"]);
	});

	test("lets nobody in until an exceeded queue has room again", () => {
		const { push, pushInside, start, names, intake } = setup("block");
		push("a", "b", "c");
		pushInside("d");
		start();
		expect([names(), intake.blocked]).toEqual([["b", "d"], 1]);
		start();
		expect([names(), intake.blocked]).toEqual([["d", "c"], 0]);
	});
});

describe("reject and drop-newest", () => {
	test.each([
		["reject", "rejected"],
		["drop-newest", "dropped"],
	] as const)("%s turns away what is too much, also what must not wait", (overflow, what) => {
		const { push, pushInside, start, names, log } = setup(overflow);
		push("a", "b", "c");
		pushInside("d");
		start();
		push("e");
		expect(names()).toEqual(["b", "e"]);
		expect(log).toEqual([`${what} c`, `${what} d`]);
	});
});

describe("drop-oldest", () => {
	test("lets the one go that has waited longest", () => {
		const { push, pushInside, names, log } = setup("drop-oldest");
		push("a", "b", "c");
		pushInside("d");
		expect(names()).toEqual(["c", "d"]);
		expect(log).toEqual(["dropped a", "dropped b"]);
	});

	test("does not take one that has started for one that waits", () => {
		const { push, start, names, log } = setup("drop-oldest");
		push("a", "b");
		start();
		push("c", "d");
		expect(names()).toEqual(["c", "d"]);
		expect(log).toEqual(["dropped b"]);
	});

	test("drops the newcomer when all that wait have started before, as for a retry", () => {
		const { queue, push, start, names, log } = setup("drop-oldest");
		push("a", "b");
		const retries = [start(), start()];
		queue.push(...retries);
		push("c");
		expect(names()).toEqual(["a", "b"]);
		expect(log).toEqual(["dropped c"]);
	});

	test("stays within its limit when whoever is told of a drop pushes anew", () => {
		const { push, names, log, whenTold } = setup("drop-oldest");
		push("a", "b");
		whenTold((what) => {
			if (what === "dropped a") push("d");
		});
		push("c");
		expect(names()).toEqual(["c", "d"]);
		expect(log).toEqual(["dropped a", "dropped b"]);
	});
});

describe("coalesce", () => {
	test("replaces the one of the key that waits, full or not", () => {
		const { push, names, log } = setup("coalesce");
		push("k:1", "k:2", "l:1", "k:3", "l:2");
		expect(names()).toEqual(["k:1", "l:1"]);
		expect(log).toEqual(["k:2 replaces k:1", "k:3 replaces k:1", "l:2 replaces l:1"]);
	});

	test("keeps others apart: those without a key, and those whose predecessor has started", () => {
		const { push, start, names, log } = setup("coalesce", 4);
		push("a", "b", "k:1");
		start(2);
		push("k:2");
		expect(names()).toEqual(["a", "b", "k:2"]);
		expect(log).toEqual([]);
	});

	test("blocks what is too much, and replaces that outside too", () => {
		const { push, pushInside, start, names, log, intake } = setup("coalesce", 1);
		push("a", "k:1", "k:2");
		expect(intake.blocked).toBe(1);
		start();
		expect(names()).toEqual(["k:1"]);
		pushInside("b");
		expect(names()).toEqual(["k:1", "b"]);
		expect(log).toEqual(["blocked k:1", "k:2 replaces k:1", "unblocked k:1", "exceeded b"]);
	});

	test("lets in the one outside whose place is taken by what must not wait", () => {
		const { push, pushInside, names, log, intake } = setup("coalesce", 1);
		push("a", "l:1", "k:1");
		pushInside("k:2");
		expect(names()).toEqual(["a", "k:1"]);
		expect(intake.blocked).toBe(1);
		expect(log.slice(2)).toEqual(["k:2 replaces k:1", "unblocked k:1", "exceeded k:1"]);
	});

	test("does not take a job that starts again for the one of its key that waits", () => {
		const { queue, push, intake, start, names, log } = setup("coalesce", 4);
		push("k:1");
		const retried = start();
		push("k:2");
		queue.push(retried);
		intake.started(start(1));
		push("k:3");
		expect(names()).toEqual(["k:2"]);
		expect(log).toEqual(["k:3 replaces k:2"]);
	});
});

describe("clear()", () => {
	test("takes out what waits outside and forgets what waits inside", () => {
		const { queue, push, names, intake } = setup("block");
		push("a", "b", "c", "d");
		expect(intake.clear().map(({ name }) => name)).toEqual(["c", "d"]);
		expect(intake.blocked).toBe(0);
		queue.length = 0;
		push("e");
		expect(names()).toEqual(["e"]);
	});

	test.each([
		["drop-oldest", ["dropped k:2"]],
		["coalesce", ["k:4 replaces k:3"]],
	] as const)("leaves nothing that a later push could meet (%s)", (overflow, told) => {
		const { queue, push, intake, log } = setup(overflow, 1);
		push("k:1");
		intake.clear();
		queue.length = 0;
		if (overflow === "coalesce") push("k:3", "k:4");
		else push("k:2", "k:3");
		expect(log).toEqual(told);
	});
});

describe("an intake before which thousands wait", () => {
	const many = 2_000;

	test("lets in what a handler emits without a look at all of them", () => {
		let asked = 0;
		const queue: number[] = [];
		const intake = createIntake<number>(
			{ limit: 1, overflow: "block" },
			{
				size: () => queue.length,
				admit: (job) => void queue.push(job),
				remove: () => undefined,
				keyOf(job) {
					asked++;
					return `key ${job % many}`;
				},
				replace: () => undefined,
				onBlocked: () => undefined,
				onUnblocked: () => undefined,
				onExceeded: () => undefined,
				onDropped: () => undefined,
				onRejected: () => undefined,
			},
		);
		for (let job = 0; job < many; job++) intake.push(job, false);
		expect(intake.blocked).toBe(many - 1);
		for (let job = 0; job < many; job++) intake.push(many + job, true);
		expect(asked).toBeLessThan(many * 10);
		expect(intake.blocked).toBe(0);
		// Each behind the one of its key that waited.
		const others = Array.from({ length: many - 1 }, (_, index) => [index + 1, many + index + 1]);
		expect(queue).toEqual([0, many, ...others.flat()]);
	});

	test("drops the oldest that has not started, whatever has started in between", () => {
		const { push, pushInside, start, names, log, intake } = setup("drop-oldest", 3);
		push("a");
		for (let round = 0; round < many; round++) {
			push(`b${round}`);
			expect(start(1).name).toBe(`b${round}`);
		}
		push("c", "d", "e");
		pushInside("f");
		expect(names()).toEqual(["d", "e", "f"]);
		expect(log).toEqual(["dropped a", "dropped c"]);
		expect(intake.clear()).toEqual([]);
	});
});
