import { setTimeout as pause } from "node:timers/promises";
import { expect, onTestFinished, test } from "vitest";
import { type Bus, createBus } from "../../src/bus/index.ts";
import { postgresStore } from "../../src/stores/postgres/index.ts";
import { createWebhookBridge } from "../../src/webhook/index.ts";
import { startReceiver } from "../support/http-receiver.ts";
import { serverPool } from "../support/postgres.ts";
import type { WorkerInput } from "./programs/worker.ts";
import { type Deliveries, noteDelivery } from "./support/crash-rounds.ts";
import { type Line, type Program, prepareProgram } from "./support/program.ts";
import { seededRandom } from "./support/random.ts";
import { postgres, type StoreAtRest } from "./support/stores.ts";

const kills = 25;
const workers = 3;
// Of each a delivery to the durable handler and one to the endpoint: 6,000 rows.
const events = 3_000;
const concurrency = 4;
// Of handler and endpoint alike: what runs, and as much at hand.
const inFlightLimit = 2 * 2 * concurrency;
const workMs = 40;

const launcher = await prepareProgram("worker");

/** A bus that stores events and leaves the deliveries to others. */
async function openEmitter({ place }: StoreAtRest, port: number): Promise<Bus> {
	if (place.driver !== "postgres") throw new TypeError("only PostgreSQL lets several processes deliver");
	const pool = serverPool({ max: 2 });
	const store = postgresStore({ pool, schema: place.schema });
	const bus = createBus({ store, outbox: { deliver: false } });
	onTestFinished(async () => {
		await bus.close();
		await store.close();
		await pool.end();
	});
	bus.handle("numbered", () => undefined, { name: "log", durable: true });
	const bridge = createWebhookBridge(bus, {
		forward: ["numbered"],
		network: { allow: [`127.0.0.1/32:${port}`], allowHttp: true },
	});
	await bridge.endpoints.create({ url: `http://127.0.0.1:${port}/`, events: ["**"], concurrency });
	return bus;
}

test.runIf(postgres.isThere)(
	`${postgres.name}: of ${workers} workers one is killed ${kills} times, and nothing is lost`,
	async () => {
		const random = seededRandom();
		const store = await postgres.open();
		const handled: Deliveries = new Map();
		const received: Deliveries = new Map();
		// A worker that was too slow for its lease hears that its claim was lost; who is killed hears nothing.
		let lost = 0;
		const receiver = await startReceiver((webhook) => {
			noteDelivery(received, (webhook.message.data as { readonly n: number }).n, webhook.id);
			setTimeout(() => webhook.answer(200), random.below(workMs));
			return undefined;
		});
		const bus = await openEmitter(store, receiver.port);

		function onLine([word, n, eventId]: Line): void {
			if (word === "ran") noteDelivery(handled, n as number, eventId as string);
			if (word === "lost") lost++;
		}
		const start = (): Program =>
			launcher.start(
				{
					...{ place: store.place, leaseMs: 700, concurrency, workMs },
					port: receiver.port,
				} satisfies WorkerInput,
				{ onLine },
			);
		const alive = Array.from({ length: workers }, start);
		const eventIds = new Map<number, string>();
		for (let killed = 0; killed < kills; killed++) {
			// There is work for as long as workers are killed.
			const more = Array.from({ length: events / kills }, (_, index) => eventIds.size + index);
			await Promise.all(
				more.map(async (n) => {
					const { event, stored } = bus.emit("numbered", { n });
					await stored;
					eventIds.set(n, event.id);
				}),
			);
			await pause(200 + random.below(300));
			const index = random.below(workers);
			const victim = alive[index] as Program;
			victim.signal("SIGKILL");
			expect(await victim.ended).toEqual({ code: null, signal: "SIGKILL" });
			alive[index] = start();
		}
		for (const worker of alive) worker.tell("drain");
		for (const { ended } of alive) expect(await ended).toEqual({ code: 0, signal: null });

		expect(eventIds.size).toBe(events);
		let duplicates = 0;
		for (const [name, deliveries] of [["handler", handled] as const, ["webhooks", received] as const]) {
			const missing = [...eventIds.keys()].filter((n) => !deliveries.has(n));
			expect(missing, `${name}: stored, but never delivered`).toEqual([]);
			const strange = [...deliveries].filter(([n, ids]) => ids.some((id) => id !== eventIds.get(n)));
			expect(strange, `${name}: delivered, but never emitted`).toEqual([]);
			const again = [...deliveries.values()].reduce((sum, { length }) => sum + length - 1, 0);
			console.log(`${name}: ${deliveries.size} delivered, ${again} of them again`);
			duplicates += again;
		}
		expect(await store.countStates()).toEqual({ delivered: 2 * events });
		console.log(
			`${postgres.name}: ${kills} kills of ${workers} workers, ${2 * events} rows, 0 lost, ${duplicates} duplicates (at most ${inFlightLimit} a kill), ${lost} claims lost by the living, seed ${random.seed}`,
		);
		expect(duplicates).toBeLessThanOrEqual(inFlightLimit * kills + lost);
	},
	120_000,
);
