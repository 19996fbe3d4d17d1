import { createId } from "../internal/id.ts";
import { isoTime } from "../internal/iso-time.ts";
import { checkFunction, checkOptions, invalidOption, readTime } from "../internal/options.ts";
import { paginate, readPage } from "../internal/page.ts";
import type { BusCore } from "./core.ts";
import type { DeadLetter, DeadLetterBox, DeadLetterFilter } from "./dead-letter.ts";
import type { QueuedEvent } from "./plan.ts";
import { createReplayedEvent } from "./replayed-event.ts";

const knownFilters: readonly (keyof DeadLetterFilter)[] = [
	"ids",
	"handler",
	"type",
	"since",
	"until",
	"where",
];

export function createDeadLetters(
	limit: number,
	core: () => Pick<BusCore, "clock" | "signals" | "work">,
	/** Queues an event for the handler of this name; answers whether there is one. */
	requeue: (handler: string, event: QueuedEvent, owner: object | undefined) => boolean,
): DeadLetterBox {
	/** By id, oldest first. */
	const letters = new Map<string, DeadLetter>();
	const owners = new WeakMap<DeadLetter, object>();

	function pick(filter: DeadLetterFilter): DeadLetter[] {
		return [...letters.values()].filter(readFilter(filter));
	}

	return {
		add(details, owner) {
			const { clock, signals } = core();
			const letter: DeadLetter = { id: createId("ltr"), ...details, deadAt: isoTime(clock.now()) };
			letters.set(letter.id, letter);
			owners.set(letter, owner);
			if (letters.size <= limit) return;
			const [oldest] = letters.values();
			letters.delete((oldest as DeadLetter).id);
			signals.send("deadletter:dropped", () => ({ letter: oldest as DeadLetter }));
		},
		async list(filter = {}) {
			const page = readPage(filter, knownFilters);
			const { limit: _limit, cursor: _cursor, ...picked } = filter;
			return paginate(pick(picked).reverse(), page, "falling", (letter) => letter);
		},
		async replay(filter = {}) {
			let count = 0;
			for (const letter of pick(filter)) {
				const event = createReplayedEvent(letter.event, core().work);
				if (!requeue(letter.handler, event, owners.get(letter))) continue;
				letters.delete(letter.id);
				count++;
			}
			return count;
		},
		async discard(filter = {}) {
			const picked = pick(filter);
			for (const { id } of picked) letters.delete(id);
			return picked.length;
		},
	};
}

/** Checks a filter and makes the function that answers whether a letter agrees with it. */
function readFilter(filter: DeadLetterFilter): (letter: DeadLetter) => boolean {
	checkOptions("deadLetters", filter, knownFilters);
	const { ids, handler, type, where } = filter;
	if (ids !== undefined && !(Array.isArray(ids) && ids.every((id) => typeof id === "string"))) {
		throw invalidOption("ids", "an array of strings", ids);
	}
	for (const [option, text] of Object.entries({ handler, type })) {
		if (text !== undefined && typeof text !== "string") throw invalidOption(option, "a string", text);
	}
	checkFunction("where", where);
	const since = readTime("since", filter.since);
	const until = readTime("until", filter.until);
	return (letter) =>
		(ids === undefined || ids.includes(letter.id)) &&
		(handler === undefined || letter.handler === handler) &&
		(type === undefined || letter.event.type === type) &&
		(since === undefined || letter.deadAt >= since) &&
		(until === undefined || letter.deadAt < until) &&
		(where === undefined || where(letter));
}
