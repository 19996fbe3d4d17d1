import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";

/** One way to do what a benchmark measures. */
export interface Subject {
	readonly name: string;
	/** Sets the subject up; the function it returns does the work `operations` times. */
	create(): (operations: number) => unknown;
}

/** Subjects that do the same work. */
export interface Benchmark {
	readonly name: string;
	/** The subject that ratios are against. */
	readonly baseline: string;
	readonly operations: number;
	/** Default 11. */
	readonly rounds?: number;
	readonly subjects: readonly Subject[];
}

/** The time per operation of each subject, and how it compares. */
export interface Comparison {
	readonly name: string;
	readonly operations: number;
	readonly rounds: number;
	readonly baseline: string;
	readonly subjects: readonly {
		readonly name: string;
		/** Of the fastest round. */
		readonly nsPerOperation: number;
		/** Of the median round. */
		readonly medianNsPerOperation: number;
		/** How many times as fast as the baseline, fastest round against fastest round. */
		readonly ratio: number;
	}[];
}

/**
 * Measures benchmarks: each subject in a process of its own, as in an application that uses one library, so that no
 * subject spoils what the compiler has learnt about another. Rounds are interleaved: what slows the machine down
 * slows all of them down.
 *
 * Called by a benchmark file, which runs as the parent of those processes and, again, as each of them.
 */
export async function measure(benchmarks: readonly Benchmark[]): Promise<void> {
	const chosen = process.env.BENCH_SUBJECT;
	if (chosen !== undefined) return serveSubject(benchmarks, JSON.parse(chosen) as [number, number]);
	const comparisons: Comparison[] = [];
	for (const index of benchmarks.keys()) {
		const comparison = await compare(benchmarks[index] as Benchmark, index);
		printComparison(comparison);
		comparisons.push(comparison);
	}
	process.send?.(comparisons);
}

/** Lets one subject work whenever the parent says so, and answers with the nanoseconds per operation. */
function serveSubject(benchmarks: readonly Benchmark[], [index, subjectIndex]: [number, number]): void {
	const { operations, subjects } = benchmarks[index] as Benchmark;
	const run = (subjects[subjectIndex] as Subject).create();
	process.on("message", async () => {
		globalThis.gc?.();
		const startedAt = process.hrtime.bigint();
		await run(operations);
		process.send?.(Number(process.hrtime.bigint() - startedAt) / operations);
	});
	process.on("disconnect", () => process.exit());
}

async function compare(
	{ name, baseline, operations, rounds = 11, subjects }: Benchmark,
	index: number,
): Promise<Comparison> {
	const children = subjects.map((_, subjectIndex) =>
		fork(process.argv[1] as string, {
			execArgv: [...process.execArgv, "--expose-gc"],
			env: { ...process.env, BENCH_SUBJECT: JSON.stringify([index, subjectIndex]) },
		}),
	);
	const times = subjects.map((): number[] => []);
	// Two rounds to warm up.
	for (let round = -2; round < rounds; round++) {
		for (const [subjectIndex, child] of children.entries()) {
			const nsPerOperation = await runOnce(child);
			if (round >= 0) (times[subjectIndex] as number[]).push(nsPerOperation);
		}
	}
	for (const child of children) child.disconnect();
	const fastest = times.map((values) => Math.min(...values));
	const baselineNs = fastest[subjects.findIndex((subject) => subject.name === baseline)] as number;
	return {
		...{ name, operations, rounds, baseline },
		subjects: subjects.map((subject, subjectIndex) => ({
			name: subject.name,
			nsPerOperation: round(fastest[subjectIndex] as number),
			medianNsPerOperation: round(median(times[subjectIndex] as number[])),
			ratio: round(baselineNs / (fastest[subjectIndex] as number)),
		})),
	};
}

async function runOnce(child: ChildProcess): Promise<number> {
	child.send("run");
	const ended = new AbortController();
	const [result] = await Promise.race([
		once(child, "message", ended),
		once(child, "exit", ended).then(() => Promise.reject(new Error("a subject's process ended"))),
	]);
	ended.abort();
	return result as number;
}

function printComparison({ name, operations, rounds, baseline, subjects }: Comparison): void {
	console.log(
		`\n${name}  (${operations.toLocaleString("en")} operations × ${rounds} rounds; × = as fast as ${baseline})`,
	);
	for (const { name: subject, nsPerOperation, medianNsPerOperation, ratio } of subjects) {
		const times = [nsPerOperation, medianNsPerOperation].map((ns) => formatNs(ns).padStart(12)).join("");
		console.log(`  ${subject.padEnd(36)}${times}${`${ratio.toFixed(2)}×`.padStart(10)}`);
	}
}

function formatNs(ns: number): string {
	if (ns < 1_000) return `${ns.toFixed(1)} ns`;
	return ns < 1_000_000 ? `${(ns / 1_000).toFixed(2)} µs` : `${(ns / 1_000_000).toFixed(2)} ms`;
}

function median(values: readonly number[]): number {
	const sorted = [...values].sort((a, b) => a - b);
	return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
}

function round(value: number): number {
	return Number(value.toPrecision(4));
}
