/** One way to do what a benchmark measures. */
export interface Subject {
	readonly name: string;
	/** Does the work `operations` times. */
	run(operations: number): unknown;
}

/** The time per operation of each subject, and how it compares. */
export interface Comparison {
	readonly name: string;
	readonly operations: number;
	readonly rounds: number;
	/** What the ratios are against. */
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
 * Measures subjects in turn, round after round, so that what slows the machine down slows all of them down. The order
 * is turned by one each round, since who runs after whom matters to the garbage collector.
 */
export async function compare(options: {
	readonly name: string;
	readonly baseline: string;
	readonly operations: number;
	readonly rounds?: number;
	readonly subjects: readonly Subject[];
}): Promise<Comparison> {
	const { name, baseline, operations, rounds = 11, subjects } = options;
	const times = new Map<string, number[]>(subjects.map((subject) => [subject.name, []]));
	for (let round = -1; round < rounds; round++) {
		for (let turn = 0; turn < subjects.length; turn++) {
			const subject = subjects[(turn + round + 1) % subjects.length] as Subject;
			globalThis.gc?.();
			const startedAt = process.hrtime.bigint();
			await subject.run(operations);
			const elapsedNs = Number(process.hrtime.bigint() - startedAt);
			// The first round only warms up.
			if (round >= 0) times.get(subject.name)?.push(elapsedNs / operations);
		}
	}
	const fastest = (subject: string) => Math.min(...(times.get(subject) ?? []));
	return {
		...{ name, operations, rounds, baseline },
		subjects: subjects.map((subject) => ({
			name: subject.name,
			nsPerOperation: round(fastest(subject.name)),
			medianNsPerOperation: round(median(times.get(subject.name) ?? [])),
			ratio: round(fastest(baseline) / fastest(subject.name)),
		})),
	};
}

/** Hands the results of a benchmark file to `bench/run.ts`, or prints them when the file is run by itself. */
export function finish(comparisons: readonly Comparison[]): void {
	if (process.send === undefined) for (const comparison of comparisons) printComparison(comparison);
	else process.send(comparisons);
}

export function printComparison({ name, operations, rounds, baseline, subjects }: Comparison): void {
	console.log(
		`\n${name}  (${operations.toLocaleString("en")} operations × ${rounds} rounds; × = as fast as ${baseline})`,
	);
	for (const subject of subjects) {
		const { nsPerOperation, medianNsPerOperation, ratio } = subject;
		console.log(
			`  ${subject.name.padEnd(34)}${formatNs(nsPerOperation).padStart(12)}${formatNs(medianNsPerOperation).padStart(12)}${`${ratio.toFixed(2)}×`.padStart(10)}`,
		);
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
