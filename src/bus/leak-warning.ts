import { isThenable } from "../internal/deferred.ts";
import { whenSettled } from "../internal/thenable.ts";
import type { Signals } from "./signals.ts";

/** Takes what the bus has to say to people. `console` is one. */
export interface Logger {
	warn(message: string): void;
}

/** Tells once for each pattern when it gathers more subscriptions than `limit`. */
export function createLeakWarning(
	limit: number,
	logger: Logger,
	signals: Signals,
	report: (error: unknown) => void,
): (pattern: string, count: number) => void {
	const told = new Set<string>();
	return (pattern, count) => {
		if (count <= limit || told.has(pattern)) return;
		told.add(pattern);
		const site = findSite(new Error().stack);
		try {
			const result: unknown = logger.warn(
				`callhook: "${pattern}" has ${count} subscriptions, more than maxListeners (${limit}): is one made again and again? The last was made ${site === "" ? "at an unknown place" : site}`,
			);
			if (isThenable(result)) whenSettled(result, () => undefined, report);
		} catch (error) {
			report(error);
		}
		signals.send("subscription:leak", () => ({ pattern, count, site }));
	};
}

/** The first place in a stack trace outside of this package. */
function findSite(stack: string | undefined): string {
	const lines = (stack ?? "").split("\n").slice(1);
	const own = placeOf(lines[0]);
	// A bundle is one file, the sources are one folder.
	const root = own.replace(/\/src\/bus\/[^/]*$/, "/src/").replace(/[^/]*$/, "");
	const isOutside = (place: string): boolean => root !== "" && place !== "" && !place.startsWith(root);
	return lines.find((line) => isOutside(placeOf(line)))?.trim() ?? "";
}

function placeOf(line: string | undefined): string {
	return (
		/\(?((?:file|https?|node|\/|[A-Z]:).*?)(?::\d+)*\)?$/.exec(
			line?.trim().replace(/^at (?:.* \()?/, "") ?? "",
		)?.[1] ?? ""
	);
}
