import { describe, expect, test } from "vitest";
import { optionOf, thrownBy } from "../../../test/support/thrown.ts";
import { postgresStore } from "./index.ts";
import type { PostgresStoreOptions } from "./options.ts";

const pool = { query: async () => ({ rows: [] }), connect: () => undefined };

function optionIn(options: unknown): string {
	return optionOf(() => postgresStore(options as PostgresStoreOptions));
}

describe("postgresStore() - options", () => {
	test("a pool is required, with query and connect", () => {
		expect(optionIn(undefined)).toBe("pool");
		expect(optionIn({})).toBe("pool");
		expect(optionIn({ pool: {} })).toBe("pool");
		expect(optionIn({ pool: { query: pool.query } })).toBe("pool");
		expect(optionIn([])).toBe("postgresStore");
		expect(optionIn({ pool, shema: "a" })).toBe("postgresStore.shema");
	});

	test("a connection string in place of the pool is refused with what to install, and without its password", () => {
		for (const options of [{ pool: "postgres://me:s3cret@db/shop" }, "postgres://me:s3cret@db/shop"]) {
			const error = thrownBy(() => postgresStore(options as unknown as PostgresStoreOptions));
			expect(`${error.message} ${JSON.stringify(error.details)}`).not.toContain("s3cret");
		}
		expect(thrownBy(() => postgresStore({} as PostgresStoreOptions)).message).toContain("npm install pg");
	});

	test("a schema is a name that needs no care, and not one of PostgreSQL's own", () => {
		for (const schema of ["", "a b", 'a"b', "1a", "pg_temp", "PG_x", "a".repeat(41), 7]) {
			expect(optionIn({ pool, schema })).toBe("schema");
		}
		for (const schema of ["callhook", "Outbox_2", "_a"]) postgresStore({ pool, schema });
	});

	test("pollMs is a delay", () => {
		for (const pollMs of [0, -1, Number.NaN, Number.POSITIVE_INFINITY, "1"]) {
			expect(optionIn({ pool, pollMs })).toBe("pollMs");
		}
	});
});
