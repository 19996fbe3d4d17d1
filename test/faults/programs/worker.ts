// One of several processes on a store: delivers what there is, emits too when it is told to, and says all it does.
import { setTimeout as pause } from "node:timers/promises";
import { createBus } from "../../../src/bus/index.ts";
import { createDeferred } from "../../../src/internal/deferred.ts";
import type { OutboxStore } from "../../../src/outbox/ports.ts";
import type { StorePlace } from "../support/store-place.ts";
import { input, listen, say } from "./link.ts";
import { openStore } from "./open-store.ts";

export interface WorkerInput {
	readonly place: StorePlace;
	readonly leaseMs: number;
	/** Of the durable handler. */
	readonly concurrency: number;
	/** How long the handler works on an event, at most. */
	readonly workMs: number;
	/** The port of the receiver of webhooks; without one there are none. */
	readonly port?: number | undefined;
	/** Its handler holds what it begins until it is told to let go. */
	readonly holds?: boolean | undefined;
}

const { place, leaseMs, concurrency, workMs, port, holds } = input<WorkerInput>();
const letGo = createDeferred<void>();
const drain = createDeferred<void>();

/**
 * Says which claims this process was given: whoever died with one cannot say so himself. Of the deliveries, and by
 * another word of the events that have yet to become some, as they do after a second without claims.
 */
function sayClaims(inner: OutboxStore): OutboxStore {
	return {
		...inner,
		async claim(groups, forMs) {
			const claims = await inner.claim(groups, forMs);
			for (const { token, group } of claims) say(isRouting(group) ? "routes" : "claimed", token);
			return claims;
		},
	};
}

/** What is routed twice is kept once: no delivery comes of a claim that was lost. */
function isRouting(group: string): boolean {
	return group === "webhooks:routing";
}

function emit(from: number, count: number): void {
	for (let n = from; n < from + count; n++) {
		say("emitted", n);
		const { event, stored } = bus.emit("numbered", { n });
		void stored.then(() => say("stored", n, event.id));
	}
}

const { store, close } = await openStore(place);
const bus = createBus({
	store: sayClaims(store),
	outbox: { leaseMs },
	onError: (error, { name }) => say("error", name, String(error)),
});
bus.observe("delivery:delivered", ({ eventId, group }) => say("settled", eventId, group));
bus.observe("delivery:lost", ({ eventId, group }) => {
	if (!isRouting(group)) say("lost", eventId, group);
});
const handler = bus.handle(
	"numbered",
	async (data, { event, attempt }) => {
		const { n } = data as { readonly n: number };
		say("ran", n, event.id, attempt);
		if (holds === true) await letGo.promise;
		await pause((workMs * (1 + ((n * 31) % 16))) / 16);
	},
	// Each kill costs an attempt.
	{ name: "log", durable: true, concurrency, retry: { attempts: 10_000 } },
);
let idle = (): Promise<unknown> => handler.idle();
if (port !== undefined) {
	const { createWebhookBridge } = await import("../../../src/webhook/index.ts");
	const bridge = createWebhookBridge(bus, {
		forward: ["numbered"],
		retry: { delaysMs: Array.from({ length: 100 }, () => 50), jitter: 0 },
		network: { allow: [`127.0.0.1/32:${port}`], allowHttp: true },
	});
	const { items } = await bridge.endpoints.list();
	if (items.length === 0) {
		await bridge.endpoints.create({ url: `http://127.0.0.1:${port}/`, events: ["**"], concurrency });
	}
	idle = () => Promise.all([handler.idle(), bridge.idle()]);
}
listen((text) => {
	const [word, from, count] = text.split(" ");
	if (word === "emit") emit(Number(from), Number(count));
	if (word === "let-go") letGo.resolve();
	if (word === "drain") drain.resolve();
	// From here, and not from outside: in a turn of the event loop no transaction of SQLite is open, which would keep
	// its lock for as long as this process is stopped.
	if (word === "stop") process.kill(process.pid, "SIGSTOP");
});
say("started");
await drain.promise;
await idle();
await bus.close();
await close();
say("drained");
process.exit();
