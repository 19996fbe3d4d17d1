import type { OutboxStore } from "../../../src/outbox/ports.ts";

const noted = ["append", "claim", "extend", "settle", "release", "nextDueInMs"] as const;

/** A store whose calls by the outbox are noted, by name. */
export function noteCalls(store: OutboxStore, calls: string[]): OutboxStore {
	const wrapped = noted.map((name) => {
		const call = store[name] as (...args: unknown[]) => unknown;
		return [
			name,
			(...args: unknown[]) => {
				calls.push(name);
				return call(...args);
			},
		] as const;
	});
	return { ...store, ...Object.fromEntries(wrapped) };
}
