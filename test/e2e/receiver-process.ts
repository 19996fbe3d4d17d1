// A receiver in a process of its own, whose store others share: it tells each event that it runs.
import http from "node:http";
import type { AddressInfo } from "node:net";
import { createBus } from "callhook";
import { postgresStore } from "callhook/postgres";
import { createReceiver, toNodeHandler } from "callhook/receiver";
import { serverPool } from "../support/postgres.ts";
import { secret, standingClock } from "../support/signed-request.ts";

export type FromProcess =
	| { readonly kind: "listening"; readonly port: number }
	| { readonly kind: "ran"; readonly id: string };

const tell = (message: FromProcess): void => void process.send?.(message);

const bus = createBus();
bus.handle("order.paid", (_, { event }) => tell({ kind: "ran", id: event.id }));
const dedupe = postgresStore({ pool: serverPool(), schema: process.argv[2] as string });
const receiver = createReceiver({ secrets: secret, bus, dedupe, mode: "inline", clock: standingClock });
const server = http.createServer(toNodeHandler(receiver)).listen(0, "127.0.0.1", () => {
	tell({ kind: "listening", port: (server.address() as AddressInfo).port });
});
process.on("disconnect", () => process.exit(0));
