// Receives webhooks, each once, and dies where it is told: around the claim and the confirm of a message.
import http from "node:http";
import type { AddressInfo } from "node:net";
import { createBus } from "../../../src/bus/index.ts";
import type { OutboxStore, Receipts } from "../../../src/outbox/ports.ts";
import { createReceiver, toNodeHandler } from "../../../src/receiver/index.ts";
import type { StorePlace } from "../support/store-place.ts";
import { die, input, listen, say } from "./link.ts";
import { openStore } from "./open-store.ts";

/** Behind the commit of the claim, behind the handler, or behind the commit of the confirm. */
export type ReceiptPoint = "claimed" | "ran" | "confirmed";

export interface ReceiptsInput {
	readonly place: StorePlace;
	readonly secret: string;
	/** Where it dies, and at which message that gets there. */
	readonly death: { readonly at: ReceiptPoint; readonly message: number } | undefined;
}

// Instead of a minute: the test waits for the lease of the dead.
const leaseMs = 300;

const { place, secret, death } = input<ReceiptsInput>();
let left = death?.message ?? 0;

function reach(point: ReceiptPoint): void {
	if (death?.at === point && left-- === 0) die();
}

function withPoints({ receipts }: OutboxStore): { readonly receipts: Receipts } {
	return {
		receipts: {
			...receipts,
			async claim(key) {
				const claim = await receipts.claim(key, leaseMs);
				if (claim.state !== "done" && claim.state !== "busy") reach("claimed");
				return claim;
			},
			extend: (receipt) => receipts.extend(receipt, leaseMs),
			async confirm(receipt, keepForMs) {
				const isHeld = await receipts.confirm(receipt, keepForMs);
				if (isHeld) say("confirmed", receipt.key);
				reach("confirmed");
				return isHeld;
			},
		},
	};
}

listen();
const { store } = await openStore(place);
const bus = createBus();
bus.handle("order.paid", (_, { event }) => {
	say("ran", `standard:${event.id}`);
	reach("ran");
});
const receiver = createReceiver({ secrets: secret, bus, mode: "inline", dedupe: withPoints(store) });
const server = http.createServer(toNodeHandler(receiver)).listen(0, "127.0.0.1", () => {
	say("listening", (server.address() as AddressInfo).port);
});
