import type { RequestListener } from "node:http";
import { type Catalog, createBus, memoryStore } from "callhook";
import { createReceiver, toNodeHandler } from "callhook/receiver";
import { createWebhookBridge } from "callhook/webhook";
import { events } from "./catalog.ts";

/** The other program, as one of the two sees it. */
export interface Peer {
	readonly port: number;
	/** Signs what goes to it, and what comes from it. */
	readonly secretOut: string;
	readonly secretIn: string;
}

/** A bus whose events of some types go to the other program, and that gets some types from there. */
export function createMirroredBus(source: string, forward: string, accepted: Catalog) {
	const bus = createBus({ events, source, store: memoryStore() });
	return {
		bus,
		receive: (secrets: string): RequestListener =>
			toNodeHandler(createReceiver({ secrets, bus, events: accepted })),
		async connect({ port, secretOut }: Peer): Promise<{ close(): Promise<void> }> {
			const network = { allow: [`127.0.0.1:${port}`], allowHttp: true };
			const bridge = createWebhookBridge(bus, { forward: [forward], network });
			await bridge.endpoints.create({
				url: `http://127.0.0.1:${port}/events`,
				secret: secretOut,
				events: [forward],
				order: "endpoint",
			});
			return {
				close: async () => {
					await bus.drain();
					await bridge.idle();
					await bridge.stop();
					await bus.close();
				},
			};
		},
	};
}
