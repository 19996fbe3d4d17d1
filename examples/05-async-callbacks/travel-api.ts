// The services of others: bookings over HTTP, with the moods of the real ones.
import { type LocalServer, startLocalServer } from "../local-server.ts";

export interface TravelApi extends LocalServer {
	/** The bookings that exist now, as `trip/part`, sorted. */
	bookings(): string[];
}

/**
 * `PUT /t_1/flight` books and `DELETE /t_1/flight` cancels; doing either twice is doing it once.
 *
 * Hotels answer 503 to the first request of every trip. Rental cars never answer for `t_2`, though they book one, and
 * hotels are full for `t_3`.
 */
export async function startTravelApi(): Promise<TravelApi> {
	const bookings = new Set<string>();
	const seen = new Set<string>();

	const server = await startLocalServer((request, response) => {
		const booking = (request.url ?? "").slice(1);
		const [trip, part] = booking.split("/") as [string, string];
		const isFirst = !seen.has(booking);
		seen.add(booking);
		if (request.method === "DELETE") {
			bookings.delete(booking);
			response.writeHead(204).end();
		} else if (part === "hotel" && isFirst) {
			response.writeHead(503).end();
		} else if (part === "hotel" && trip === "t_3") {
			response.writeHead(409).end();
		} else {
			bookings.add(booking);
			if (part === "car" && trip === "t_2") return; // the connection stays open
			response.writeHead(200, { "content-type": "application/json" });
			response.end(JSON.stringify({ reference: `${part[0]?.toUpperCase()}-${trip.slice(2)}` }));
		}
	});
	return { ...server, bookings: () => [...bookings].sort() };
}
