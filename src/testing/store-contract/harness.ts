import type { OutboxStore } from "../../outbox/ports.ts";

/** A store under test, with what the suite needs around it. */
export interface StoreHarness {
	/** Fresh and empty; the suite closes it. */
	readonly store: OutboxStore;
	/**
	 * Lets at least `ms` milliseconds pass on the store's own clock: a fake clock is moved; where a database's clock
	 * decides, wait, or make that clock movable: what was shown before must not change. The suite asks for little more than a second at a time.
	 */
	advance(ms: number): Promise<void>;
	/**
	 * Opens the same data with a new store; called once the store was closed. Leave it out where nothing stays: the
	 * suite then passes over what it asks of a store that was opened again. The suite closes what this opens.
	 */
	reopen?(): Promise<OutboxStore>;
	/**
	 * Opens another store on the same data while the first is open, as another process would. Leave it out where
	 * `capabilities.sharing` is "none". The suite closes what this opens.
	 */
	openAnother?(): Promise<OutboxStore>;
	/** Removes what the closed store leaves behind: a file, a schema. */
	dispose?(): Promise<void>;
}

/** One thing that every store does. */
export interface StoreContractCase {
	/** Unique in the suite. */
	readonly name: string;
	/** Makes a store of its own, checks it and closes it; rejects where it breaks the contract. */
	run(): Promise<void>;
}

/** A case before it has a store. */
export interface StoreCheck {
	readonly name: string;
	check(harness: StoreHarness): Promise<void>;
}
