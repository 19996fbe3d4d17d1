import type { PoolConfig } from "pg";

/** Where a program finds its store. */
export type StorePlace =
	| {
			readonly driver: "libsql" | "node:sqlite";
			readonly path: string;
			readonly leaderLeaseMs?: number;
	  }
	| { readonly driver: "postgres"; readonly server: PoolConfig; readonly schema: string };
