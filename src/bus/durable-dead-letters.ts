import { readPage } from "../internal/page.ts";
import { readStoredEvent } from "../outbox/index.ts";
import type { DeliveryFilter, OutboxStore, StoredDelivery, StoredEvent } from "../outbox/ports.ts";
import type { DeadLetter, DeadLetterFilter, DeadLetters } from "./dead-letter.ts";
import { knownFilters, readFilter } from "./dead-letter-filter.ts";
import { durableGroup, durablePrefix } from "./durable-handler.ts";

// Behind the letters in memory come those in the store; their cursors must not be taken for each other.
const storeCursor = "store:";
const pieceSize = 500;

/** The letters of a bus with a store: those in memory, then those that durable handlers have in the store. */
export function withDurableLetters(memory: DeadLetters, store: OutboxStore): DeadLetters {
	async function readLetters(deliveries: readonly StoredDelivery[]): Promise<DeadLetter[]> {
		const events = await store.getEvents(deliveries.map(({ eventId }) => eventId));
		const byId = new Map(events.map((event) => [event.id, event]));
		return deliveries.flatMap((delivery) => {
			const event = byId.get(delivery.eventId);
			return event === undefined ? [] : [showLetter(delivery, event)];
		});
	}

	/** The ids of the letters that a filter picks. */
	async function pickIds(filter: DeadLetterFilter): Promise<string[]> {
		const agrees = readFilter(filter);
		const ids: string[] = [];
		let cursor: string | undefined;
		do {
			const page = await store.query(toDeliveryFilter(filter), { limit: pieceSize, cursor });
			const letters = await readLetters(page.items);
			ids.push(...letters.filter(agrees).map(({ id }) => id));
			cursor = page.cursor;
		} while (cursor !== undefined);
		return ids;
	}

	/** What a store can pick by itself in one go, or else its letters piece by piece. */
	async function change(
		filter: DeadLetterFilter,
		apply: (picked: DeliveryFilter) => Promise<number>,
	): Promise<number> {
		readFilter(filter);
		const { since, until, where } = filter;
		if (since === undefined && until === undefined && where === undefined) {
			return apply(toDeliveryFilter(filter));
		}
		const ids = await pickIds(filter);
		let changed = 0;
		for (let from = 0; from < ids.length; from += pieceSize) {
			changed += await apply({ ...toDeliveryFilter({}), ids: ids.slice(from, from + pieceSize) });
		}
		return changed;
	}

	async function prune(filter: DeliveryFilter): Promise<number> {
		let forgotten = 0;
		for (let last = pieceSize; last === pieceSize; forgotten += last) {
			last = await store.prune({ filter, limit: pieceSize });
		}
		return forgotten;
	}

	return {
		async list(filter = {}) {
			const { limit = 50, cursor } = readPage(filter, knownFilters);
			const { limit: _limit, cursor: _cursor, ...picked } = filter;
			const items: DeadLetter[] = [];
			if (cursor?.startsWith(storeCursor) !== true) {
				const page = await memory.list(filter);
				if (page.cursor !== undefined) return page;
				items.push(...page.items);
			}
			let next = cursor?.startsWith(storeCursor) === true ? cursor.slice(storeCursor.length) : "";
			const agrees = readFilter(picked);
			do {
				if (items.length === limit) return { items, cursor: `${storeCursor}${next}` };
				const request = { limit: limit - items.length, cursor: next === "" ? undefined : next };
				const page = await store.query(toDeliveryFilter(picked), request);
				items.push(...(await readLetters(page.items)).filter(agrees));
				next = page.cursor ?? "";
			} while (next !== "");
			return { items };
		},
		replay: async (filter = {}) =>
			(await memory.replay(filter)) + (await change(filter, (picked) => store.replay(picked))),
		discard: async (filter = {}) => (await memory.discard(filter)) + (await change(filter, prune)),
	};
}

function toDeliveryFilter({ ids, handler, type }: DeadLetterFilter): DeliveryFilter {
	const group = handler === undefined ? { groupPrefix: durablePrefix } : { group: durableGroup(handler) };
	return { ...group, ids, type, state: "dead" };
}

function showLetter(delivery: StoredDelivery, event: StoredEvent): DeadLetter {
	const { id, group, attempts, endedAt, addedAt } = delivery;
	return {
		id,
		event: readStoredEvent(event),
		handler: group.slice(durablePrefix.length),
		attempts: attempts.at(-1)?.number ?? 0,
		failures: attempts
			.filter(({ outcome }) => outcome === "failed")
			.slice(-20)
			.map(({ startedAt, error = "", errorCode }) => ({
				at: startedAt,
				error: Object.assign(new Error(error), { code: errorCode, stack: undefined }),
			})),
		deadAt: endedAt ?? addedAt,
	};
}
