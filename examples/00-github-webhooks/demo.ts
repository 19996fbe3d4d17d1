import { createGithubBus } from "./bus.ts";
import { registerCallbacks } from "./callbacks.ts";
import type { GithubEventType } from "./catalog.ts";
import { trackDeliveries } from "./delivery-tracker.ts";
import { disagreements, expectedFrom, isForwarded } from "./expected.ts";
import { type GithubPayload, loadPayloads } from "./payloads.ts";
import { startReceiver } from "./receiver.ts";
import type { DemoReport, Observations } from "./report.ts";
import { registerRepositoryWork } from "./repository-work.ts";
import { forwardTo } from "./webhooks.ts";

/** While more webhooks than this are under way the input is not emitted again; it keeps memory bounded. */
const MAX_UNDER_WAY = 400;
/** A run in which no delivery ends for this long has failed. */
const STALL_MS = 10_000;

export interface DemoOptions {
	/** How often to emit the input. */
	readonly times: number;
	/** Stops emitting; what was emitted until then is still worked off and reported. */
	readonly signal: AbortSignal;
	/** Told how many events were emitted and deliveries ended so far, and how many there will be. */
	readonly onProgress: (done: number, total: number) => void;
}

/** Emits the payloads on a bus with callbacks, a handler and a webhook, and checks what came of it. */
export async function runDemo({ times, signal, onProgress }: DemoOptions): Promise<DemoReport> {
	const payloads = loadPayloads();
	const planned = expectedFrom(payloads, times).counts;
	const errors: string[] = [];

	await using receiver = await startReceiver();
	await using bus = createGithubBus((error) => errors.push(String(error)));
	const callbacks = registerCallbacks(bus);
	const work = registerRepositoryWork(bus);
	await using bridge = await forwardTo(receiver, bus);

	let emitted = 0;
	const showProgress = () =>
		onProgress(emitted + deliveries.delivered + deliveries.dead, planned.emitted + planned.forwarded);
	const deliveries = trackDeliveries(bus, { stallMs: STALL_MS, onEnd: showProgress });
	const emit = ({ type, data }: GithubPayload) => {
		const startedAt = performance.now();
		// The payload comes from a file: that it fits its type is for `emit` to find out, not for the compiler.
		const emission = bus.emit(type as GithubEventType, data as never, { metadata: { place: ++emitted } });
		if (isForwarded(type)) deliveries.emitted(emission.event.id, startedAt);
		return emission;
	};

	const startedAt = performance.now();
	let rounds = 0;
	// A dead delivery has decided the outcome already.
	while (rounds < times && deliveries.dead === 0 && !signal.aborted) {
		const emissions = payloads.map(emit);
		rounds++;
		showProgress();
		// Backpressure: go on when the handler is done with this round and enough webhooks have ended.
		await Promise.all(emissions.map((emission) => emission.settled));
		await deliveries.atMost(MAX_UNDER_WAY);
	}
	await deliveries.atMost(0);
	await bridge.idle();
	await bus.drain({ timeoutMs: STALL_MS });
	const seconds = (performance.now() - startedAt) / 1_000;

	const received = await receiver.report();
	const handler = work.report();
	const observations: Observations = {
		counts: {
			emitted,
			callbacks: callbacks.calls,
			handled: handler.handled,
			forwarded: received.messages,
			attempts: deliveries.attempts,
			retried: deliveries.retried,
			delivered: deliveries.delivered,
			verified: received.verified,
		},
		tally: callbacks.tally,
		handler,
		receiver: received,
		errors,
	};
	const expected = expectedFrom(payloads, rounds);
	const disagreeing = disagreements(expected, observations);
	return {
		ok: disagreeing.length === 0,
		disagreements: disagreeing,
		expected: expected.counts,
		...observations,
		times: rounds,
		interrupted: signal.aborted,
		latencyMs: { p50: deliveries.latencyMs(0.5), p99: deliveries.latencyMs(0.99) },
		seconds,
		eventsPerSecond: emitted / seconds,
	};
}
