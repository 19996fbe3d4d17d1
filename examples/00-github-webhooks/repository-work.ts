import type { GithubBus } from "./bus.ts";
import { handlerConcurrency } from "./plan.ts";

/** What the handler saw of its own concurrency. */
export interface HandlerReport {
	/** Events it finished. */
	readonly handled: number;
	/** The most events it worked on at one time. */
	readonly maxRunning: number;
	/** Events that began while another one of their repository was being worked on. */
	readonly overlaps: number;
	/** Events that began after a later one of their repository. */
	readonly outOfOrder: number;
}

/**
 * Registers a handler that works on events asynchronously: at most four at once, and never two of one
 * repository. It keeps watch over both itself, so that the demo can tell whether the bus kept its word; the place
 * of an event in the order of emission is in its `metadata.place`.
 */
export function registerRepositoryWork(bus: GithubBus): { report(): HandlerReport } {
	const busy = new Set<string>();
	const lastPlace = new Map<string, number>();
	const report = { handled: 0, maxRunning: 0, overlaps: 0, outOfOrder: 0 };
	let running = 0;

	bus.handle(
		"github.**",
		async (data, { event }) => {
			const repository = repositoryOf(data);
			const place = Number(event.metadata.place);
			if (busy.has(repository)) report.overlaps++;
			if (!(place > (lastPlace.get(repository) ?? 0))) report.outOfOrder++;
			busy.add(repository);
			lastPlace.set(repository, place);
			report.maxRunning = Math.max(report.maxRunning, ++running);

			await fingerprint(data);

			running--;
			busy.delete(repository);
			report.handled++;
		},
		{ name: "repository-work", concurrency: handlerConcurrency, key: repositoryOf },
	);
	return { report: () => ({ ...report }) };
}

/** The repository of an event or, where there is none, whoever it is about. */
function repositoryOf(data: {
	repository?: { full_name: string } | undefined;
	organization?: { login: string } | undefined;
	sender?: { login: string } | undefined;
}): string {
	return data.repository?.full_name ?? data.organization?.login ?? data.sender?.login ?? "github";
}

/** SHA-256 in Node's thread pool: short, but really asynchronous. */
async function fingerprint(data: unknown): Promise<string> {
	const digest = await crypto.subtle.digest("SHA-256", Buffer.from(JSON.stringify(data)));
	return Buffer.from(digest).toString("hex");
}
