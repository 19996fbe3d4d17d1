import type { DemoCounts, DemoReport } from "./report.ts";

const explanations: Record<keyof DemoCounts, string> = {
	emitted: "events emitted on the bus",
	callbacks: "calls of callbacks, inside emit",
	handled: "events handled, one at a time per repository",
	forwarded: "events that left the process as webhooks",
	attempts: "signed HTTP requests",
	retried: "answered 503 and sent again",
	delivered: "webhooks that got their 2xx",
	verified: "webhooks verified by the receiver with standardwebhooks",
};

/** The report as a table for people. */
export function renderTable(report: DemoReport): string {
	const names = Object.keys(explanations) as (keyof DemoCounts)[];
	const counts = names.map((name) => {
		const counted = report.counts[name];
		const expected = report.expected[name];
		return row(name, String(counted), String(expected), counted === expected ? "✓" : "✗", explanations[name]);
	});
	const { p50, p99 } = report.latencyMs;
	const rate = Math.round(report.eventsPerSecond);
	return [
		row("", "counted", "expected", "", ""),
		...counts,
		row("p50", `${p50.toFixed(1)} ms`, "", "", "from emit to 2xx"),
		row("p99", `${p99.toFixed(1)} ms`, "", "", "from emit to 2xx, the retried ones included"),
		row("events/s", String(rate), "", "", `over ${report.seconds.toFixed(2)} s`),
		"",
	].join("\n");
}

function row(name: string, counted: string, expected: string, mark: string, explanation: string): string {
	const cells = [name.padEnd(10), counted.padStart(10), expected.padStart(10), mark.padEnd(1), explanation];
	return cells.join("  ").trimEnd();
}
