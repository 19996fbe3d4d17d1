import { createBus, PermanentError } from "callhook";
import { events, type Part } from "./events.ts";

/** A travel agency: books all parts of a trip with the API, or none. */
export function createAgency(apiUrl: string, onError: (error: unknown) => void) {
	const bus = createBus({ events, source: "/agency", onError });

	async function call(method: "PUT" | "DELETE", tripId: string, part: Part, signal: AbortSignal) {
		const response = await fetch(`${apiUrl}/${tripId}/${part}`, { method, signal });
		if (response.status === 409) throw new PermanentError(`no ${part} left`);
		if (!response.ok) throw new Error(`${part}: status ${response.status}`);
		return response;
	}

	// One handler for all requests: what it returns stands in the report of the event that asked for it.
	const booking = bus.handle(
		"booking.wanted",
		async ({ tripId, part }, { signal }) => {
			const response = await call("PUT", tripId, part, signal);
			const { reference } = (await response.json()) as { reference: string };
			bus.emit("booking.made", { tripId, part, reference });
			return reference;
		},
		{
			name: "book",
			concurrency: 8,
			timeoutMs: 1_500,
			retry: { attempts: 2, minDelayMs: 50, jitter: false },
		},
	);

	// A compensation must not give up easily.
	bus.handle("booking.unwanted", ({ tripId, part }, { signal }) => call("DELETE", tripId, part, signal), {
		name: "cancel",
		timeoutMs: 1_500,
		retry: { attempts: 10 },
	});

	async function book(tripId: string, part: Part): Promise<string> {
		const report = await bus.emit("booking.wanted", { tripId, part }).settled;
		const outcome = report.outcomeOf(booking);
		if (outcome?.status === "fulfilled") return outcome.value;
		throw outcome?.status === "rejected" ? outcome.error : new Error(`${part}: not booked`);
	}

	// The whole process in one callback: flight and hotel at once, then the car that meets the flight.
	bus.on("trip.requested", async ({ tripId }) => {
		const wanted: Part[] = ["flight", "hotel"];
		try {
			const first = await Promise.allSettled(wanted.map((part) => book(tripId, part)));
			const references = first.map((result) => {
				if (result.status === "rejected") throw result.reason;
				return result.value;
			});
			wanted.push("car");
			references.push(await book(tripId, "car"));
			bus.emit("trip.ended.confirmed", { tripId, references });
		} catch (error) {
			// All that was asked for, not all that was answered: a request without an answer may have booked.
			const undone = wanted.map((part) => bus.emit("booking.unwanted", { tripId, part }).settled);
			for (const report of await Promise.all(undone)) report.throwIfFailed();
			bus.emit("trip.ended.failed", {
				tripId,
				reason: error instanceof Error ? error.message : String(error),
			});
		}
	});
	return bus;
}
