import type { PGlite } from "@electric-sql/pglite";
import type { PostgresClient, PostgresPool, PostgresResult } from "../../src/stores/postgres/index.ts";

/**
 * A PGlite with the shape of a pool. It has one session, so a transaction of one client lets nobody else in until it
 * ends; what it waits for another session for, such as a lock, it never shows.
 */
export function pglitePool(database: PGlite): PostgresPool {
	let last: Promise<unknown> = Promise.resolve();

	/** Waits for the turn; returns how to end it. */
	async function enter(): Promise<() => void> {
		const before = last;
		let leave: () => void = () => undefined;
		last = new Promise<void>((resolve) => {
			leave = resolve;
		});
		await before;
		return leave;
	}

	async function run(text: string, values: unknown[] | undefined): Promise<PostgresResult> {
		if (values !== undefined) return database.query(text, values) as Promise<PostgresResult>;
		// As pg does, several statements at once where there are no values.
		const results = await database.exec(text);
		return { rows: results.at(-1)?.rows ?? [] };
	}

	return {
		options: { max: 10 },
		async query(text, values) {
			const leave = await enter();
			try {
				return await run(text, values);
			} finally {
				leave();
			}
		},
		connect(callback) {
			let leave: (() => void) | undefined;
			const stops: (() => void)[] = [];
			const end = (): void => {
				leave?.();
				leave = undefined;
			};
			const client: PostgresClient = {
				async query(text, values) {
					const isInside = leave !== undefined;
					leave ??= await enter();
					try {
						return await run(text, values);
					} finally {
						const begins = /^begin/iu.test(text);
						if (/^(commit|rollback)/iu.test(text) || (!isInside && !begins)) end();
					}
				},
				release() {
					for (const stop of stops) stop();
					end();
				},
				on(event, listener) {
					if (event === "notification") stops.push(database.onNotification(() => listener()));
				},
			};
			callback(undefined, client);
		},
	};
}
