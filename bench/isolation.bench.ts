// What endpoints that hang, fail or are slow cost the others: 100 endpoints, 88 of which always answer at once.
import { createBus, memoryStore } from "callhook";
import { createWebhookBridge, type WebhookBridge } from "callhook/webhook";
import { measure, type Subject } from "./harness.ts";
import { quantile, startReceiver } from "./receiver.ts";

const endpoints = 100;
/** How the last of them behave in the bad world. */
const bad = ["/hang", ...Array<string>(10).fill("/fail"), "/slow"];
const healthy = endpoints - bad.length;
const data = { orderId: "o_1", note: "x".repeat(950) };
const inOutbox = 256;
/** Of each round so many come first, in a burst that opens the connections: their latency is that of the burst. */
const warmUp = 2 * inOutbox;

async function open(
	port: number,
	paths: readonly string[],
): Promise<
	WebhookBridge & {
		emit(index: number): string;
		onDelivered: (id: string, target: string) => void;
		ids: readonly string[];
	}
> {
	const bus = createBus({ store: memoryStore(), onError: () => undefined });
	const bridge = createWebhookBridge(bus, {
		...{ forward: ["**"], timeoutMs: 15_000 },
		network: { allow: [`127.0.0.1/32:${port}`], allowHttp: true },
	});
	const ids: string[] = [];
	for (const [index, path] of paths.entries()) {
		const url = `http://127.0.0.1:${port}${path}`;
		ids.push((await bridge.endpoints.create({ url, events: [`order.for_${index}`] })).id);
	}
	const world = {
		...bridge,
		ids,
		emit: (index: number) => bus.emit(`order.for_${index}`, data).event.id,
		onDelivered: (_id: string, _target: string): void => undefined,
	};
	bus.observe("delivery:delivered", ({ eventId, target }) => world.onDelivered(eventId, target));
	return world;
}

/** Delivers so many events to the healthy ones, as many in the outbox at any time; every eighth goes to one of the others. */
function deliver(name: string, lastPaths: readonly string[]): Subject {
	return {
		name,
		create() {
			const started = startReceiver().then(({ port }) =>
				open(port, [...Array<string>(healthy).fill("/ok"), ...lastPaths]),
			);
			let round = 0;
			const medians: number[] = [];
			const tails: number[] = [];
			return async (operations) => {
				const world = await started;
				const healthyIds = new Set(world.ids.slice(0, healthy));
				const emittedAt = new Map<string, number>();
				const latencies: number[] = [];
				let emitted = 0;
				let delivered = 0;
				const emit = (): void => {
					if (emitted % 8 === 0) world.emit(healthy + (round++ % bad.length));
					const id = world.emit(emitted % healthy);
					if (emitted++ >= warmUp) emittedAt.set(id, performance.now());
				};
				await new Promise<void>((resolve) => {
					world.onDelivered = (id, target) => {
						if (!healthyIds.has(target)) return;
						delivered++;
						const emittedAtMs = emittedAt.get(id);
						if (emittedAtMs !== undefined) latencies.push(performance.now() - emittedAtMs);
						if (emitted < operations) emit();
						else if (delivered === operations) resolve();
					};
					for (let i = 0; i < inOutbox; i++) emit();
				});
				medians.push(quantile(latencies, 0.5));
				tails.push(quantile(latencies, 0.99));
				const [p50, p99] = [medians, tails].map((rounds) => quantile(rounds, 0.5).toFixed(0));
				console.log(`  ${name}: p50 ${p50} ms, p99 ${p99} ms, each the median of ${tails.length} rounds`);
			};
		},
	};
}

const allHealthy = deliver("100 healthy endpoints", Array<string>(bad.length).fill("/ok"));

await measure([
	{
		name: `deliveries to ${healthy} endpoints of ${endpoints}`,
		baseline: "100 healthy endpoints",
		operations: 4_000,
		rounds: 11,
		subjects: [
			allHealthy,
			deliver("1 of 100 hangs", ["/hang", ...Array<string>(bad.length - 1).fill("/ok")]),
			deliver("1 hangs, 10 fail, 1 is slow", bad),
		],
	},
]);
