import assert from "node:assert/strict";
import { isCallhookError } from "callhook";
import { createAgency } from "./agency.ts";
import { startTravelApi } from "./travel-api.ts";

const api = await startTravelApi();
const givenUp: unknown[] = [];
const bus = createAgency(api.url, (error) => givenUp.push(error));

// Callbacks after responses, and what happens between them.
bus.on("booking.made", ({ tripId, part, reference }) =>
	console.log(`${tripId}: ${part} booked, ${reference}`),
);
bus.observe("handler:retry", ({ event, error }) => {
	const { tripId } = event.data as { tripId: string };
	console.log(`${tripId}: ${isTimeout(error) ? "no answer" : (error as Error).message}; once more`);
});
bus.on("booking.unwanted", ({ tripId, part }) => console.log(`${tripId}: ${part} is cancelled`));
bus.on("trip.ended.confirmed", ({ tripId, references }) =>
	console.log(`${tripId}: confirmed, ${references.join(" ")}`),
);
bus.on("trip.ended.failed", ({ tripId, reason }) => console.log(`${tripId}: failed, ${reason}`));

for (const [tripId, patienceMs] of Object.entries({ t_1: 30_000, t_2: 800, t_3: 30_000 })) {
	// Ask before the trip is requested, and nothing can be missed.
	const ended = nextEnd(tripId, 30_000);
	const endedSoon = nextEnd(tripId, patienceMs).catch((error: unknown) => {
		if (!isTimeout(error)) throw error;
		console.log(`${tripId}: the customer goes for a coffee`);
	});
	bus.emit("trip.requested", { tripId });
	await endedSoon;
	await ended;
}

await bus.drain();
await bus.close();
await api.close();

// Every trip has all of its bookings or none, and the two errors that ended a trip were told.
assert.deepEqual(api.bookings(), ["t_1/car", "t_1/flight", "t_1/hotel"]);
assert.equal(givenUp.length, 2);
console.log("bookings left:", api.bookings().join(" "));

function nextEnd(tripId: string, timeoutMs: number) {
	return bus.waitFor("trip.ended.*", { where: ({ data }) => data.tripId === tripId, timeoutMs });
}

function isTimeout(error: unknown): boolean {
	return isCallhookError(error, "ERR_CALLHOOK_TIMEOUT");
}
