import { createId } from "../internal/id.ts";
import { isoTime } from "../internal/iso-time.ts";
import { paginate, readPage } from "../internal/page.ts";
import type { BusCore } from "./core.ts";
import type { DeadLetter, DeadLetterBox, DeadLetterFilter } from "./dead-letter.ts";
import { knownFilters, readFilter } from "./dead-letter-filter.ts";
import type { QueuedEvent } from "./plan.ts";
import { createReplayedEvent } from "./replayed-event.ts";

export function createDeadLetters(
	limit: number,
	core: () => Pick<BusCore, "clock" | "signals" | "work">,
	/** Queues an event for the handler of this name; answers whether there is one. */
	requeue: (handler: string, event: QueuedEvent, owner: object | undefined) => boolean,
	/** Throws when the bus is closed. */
	checkOpen: () => void,
): DeadLetterBox {
	/** By id, oldest first once {@link inOrder} has run. */
	let letters = new Map<string, DeadLetter>();
	let isInOrder = true;
	const owners = new WeakMap<DeadLetter, object>();

	/** Letters that came back are at the end; put in order only now, since a full queue refuses many at once. */
	function inOrder(): DeadLetter[] {
		const ordered = [...letters.values()];
		if (isInOrder) return ordered;
		ordered.sort((a, b) => (a.id < b.id ? -1 : 1));
		letters = new Map(ordered.map((letter) => [letter.id, letter]));
		isInOrder = true;
		return ordered;
	}

	function keep(letter: DeadLetter): void {
		letters.set(letter.id, letter);
		if (letters.size <= limit) return;
		if (!isInOrder) inOrder();
		const [oldest] = letters.values();
		letters.delete((oldest as DeadLetter).id);
		core().signals.send("deadletter:dropped", () => ({ letter: oldest as DeadLetter }));
	}

	function pick(filter: DeadLetterFilter): DeadLetter[] {
		return inOrder().filter(readFilter(filter));
	}

	return {
		add(details, owner) {
			const letter: DeadLetter = { id: createId("ltr"), ...details, deadAt: isoTime(core().clock.now()) };
			owners.set(letter, owner);
			keep(letter);
		},
		async list(filter = {}) {
			const page = readPage(filter, knownFilters);
			const { limit: _limit, cursor: _cursor, ...picked } = filter;
			return paginate(pick(picked).reverse(), page, "falling", (letter) => letter);
		},
		async replay(filter = {}) {
			checkOpen();
			const queued = new Set<DeadLetter>();
			for (const letter of pick(filter)) {
				// Gone when the key function of the one before, or an observer, has replayed or discarded it.
				if (!letters.delete(letter.id)) continue;
				const putBack = (): void => {
					queued.delete(letter);
					isInOrder = false;
					keep(letter);
				};
				const event = createReplayedEvent(letter.event, core().work, (overflow) => {
					// Where events coalesce, a newer one stands for it.
					if (overflow === "coalesce") queued.delete(letter);
					else putBack();
				});
				queued.add(letter);
				if (!requeue(letter.handler, event, owners.get(letter))) putBack();
			}
			return queued.size;
		},
		async discard(filter = {}) {
			const picked = pick(filter);
			for (const { id } of picked) letters.delete(id);
			return picked.length;
		},
	};
}
