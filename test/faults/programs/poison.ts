// Delivers events, one of which kills whoever runs it.
import { createBus } from "../../../src/bus/index.ts";
import type { StorePlace } from "../support/store-place.ts";
import { die, input, listen, say } from "./link.ts";
import { openStore } from "./open-store.ts";

export interface PoisonInput {
	readonly place: StorePlace;
	readonly emits: boolean;
	/** How many harmless events to emit, half of them before the one that kills. */
	readonly others: number;
	readonly attempts: number;
	readonly concurrency: number;
}

const { place, emits, others, attempts, concurrency } = input<PoisonInput>();

listen();
const { store, close } = await openStore(place);
const bus = createBus({ store, outbox: { leaseMs: 300 }, onError: () => undefined });
if (emits) {
	// Nothing runs here before everything is stored.
	const held = createBus({ store, outbox: { deliver: false } });
	held.handle("work", () => undefined, { name: "worker", durable: true });
	const stored = Array.from(
		{ length: others + 1 },
		(_, n) => held.emit("work", { n, isPoison: n === others >> 1 }).stored,
	);
	await Promise.all(stored);
	await held.close();
}
bus.observe("delivery:dead", ({ attempt, attempts: made }) => say("dead", attempt.errorCode ?? "", made));
const handler = bus.handle(
	"work",
	(data, { attempt }) => {
		const { n, isPoison } = data as { readonly n: number; readonly isPoison: boolean };
		say(isPoison ? "poisoned" : "worked", n, attempt);
		if (isPoison) die();
	},
	{ name: "worker", durable: true, concurrency, retry: { attempts, minDelayMs: 0, maxDelayMs: 0 } },
);
await handler.idle();
await bus.close();
await close();
say("drained");
process.exit();
