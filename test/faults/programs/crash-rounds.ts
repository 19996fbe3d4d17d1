// Emits numbered events and delivers them, until it is killed; told to drain, it only delivers and ends by itself.
import { type Bus, createBus } from "../../../src/bus/index.ts";
import type { StorePlace } from "../support/store-place.ts";
import { input, listen, say } from "./link.ts";
import { openStore } from "./open-store.ts";

export interface CrashRoundsInput {
	readonly place: StorePlace;
	/** The port of the receiver of webhooks; without one a durable handler gets the events. */
	readonly port: number | undefined;
	/** Of the first event to emit; the others follow. */
	readonly from: number;
	/** How many to emit at most; with 0 it delivers what is left and ends. */
	readonly count: number;
	readonly concurrency: number;
}

const { place, port, from, count, concurrency } = input<CrashRoundsInput>();

/** Sends what is stored to a receiver; there is one endpoint, whoever made it. */
async function connectReceiver(bus: Bus, at: number): Promise<() => Promise<void>> {
	const { createWebhookBridge } = await import("../../../src/webhook/index.ts");
	const bridge = createWebhookBridge(bus, {
		forward: ["numbered"],
		// Each kill costs an attempt.
		retry: { delaysMs: Array.from({ length: 100 }, () => 50), jitter: 0 },
		// By which the receiver knows who sends.
		userAgent: `process ${process.pid}`,
		network: { allow: [`127.0.0.1/32:${at}`], allowHttp: true },
	});
	const { items } = await bridge.endpoints.list();
	if (items.length === 0) {
		await bridge.endpoints.create({ url: `http://127.0.0.1:${at}/`, events: ["**"], concurrency });
	}
	return bridge.idle;
}

function connectHandler(bus: Bus): () => Promise<void> {
	const handler = bus.handle(
		"numbered",
		(data, { event }) => say("delivered", (data as { readonly n: number }).n, event.id),
		// Each kill costs an attempt, of what was claimed and not started too.
		{ name: "log", durable: true, concurrency, retry: { attempts: 10_000 } },
	);
	return handler.idle;
}

async function emitAll(bus: Bus): Promise<void> {
	for (let n = from; n < from + count; ) {
		const burst: Promise<unknown>[] = [];
		for (const end = Math.min(from + count, n + 1 + (n % 7)); n < end; n++) {
			const number = n;
			say("emitted", number);
			const emission = bus.emit("numbered", { n: number, text: `number ${number}` });
			burst.push(emission.stored.then(() => say("stored", number, emission.event.id)));
		}
		await Promise.all(burst);
	}
}

listen();
say("started");
const { store, close } = await openStore(place);
const bus = createBus({ store, outbox: { leaseMs: 300 } });
const idle = port === undefined ? connectHandler(bus) : await connectReceiver(bus, port);
await emitAll(bus);
if (count === 0) {
	await idle();
	await bus.close();
	await close();
	say("drained");
	process.exit();
}
