import type { LocalServer } from "../local-server.ts";

/** What a shop is told when it starts, in its environment. */
export interface ShopSettings {
	/** The file of its database. */
	readonly path: string;
	/** 0 for a free one. */
	readonly port: number;
	readonly mailUrl: string;
	/** Verifies the webhooks of the payment provider. */
	readonly paymentSecret: string;
	readonly warehouse: {
		readonly url: string;
		readonly secret: string;
		readonly network: LocalServer["network"];
	};
}
