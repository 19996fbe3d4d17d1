/** A row as every driver gives it; the store asks for text, so that no type parser of the application matters. */
export type SqlRow = Readonly<Record<string, unknown>>;

/** What the store binds: text, so that every driver and query builder passes it on unchanged. */
export type SqlValue = string | null;

export interface PostgresResult {
	// A mutable array of anything, as pg declares it.
	readonly rows: unknown[];
}

/** What the store needs of a `Pool` of pg. */
export interface PostgresPool {
	query(text: string, values?: unknown[]): Promise<PostgresResult>;
	connect(callback: (error: Error | undefined, client: PostgresClient | undefined) => void): void;
	readonly options?: { readonly max?: number | undefined } | undefined;
	on?(event: "error", listener: (error: Error) => void): unknown;
	removeListener?(event: "error", listener: (error: Error) => void): unknown;
}

/** What the store needs of a client of that pool. */
export interface PostgresClient {
	query(text: string, values?: unknown[]): Promise<PostgresResult>;
	/** `true` closes the connection instead of giving it back. */
	release(destroy?: boolean): void;
	on?(event: "notification" | "error" | "end", listener: () => void): unknown;
	removeListener?(event: "error", listener: () => void): unknown;
	/** Lets the process end while the connection is open. */
	unref?(): void;
}
