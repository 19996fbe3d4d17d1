import { defineEvents } from "callhook";
import { z } from "zod";

const tripId = z.string();
const part = z.enum(["flight", "hotel", "car"]);

export type Part = z.infer<typeof part>;

export const events = defineEvents({
	"trip.requested": z.object({ tripId }),
	"trip.ended.confirmed": z.object({ tripId, references: z.array(z.string()) }),
	"trip.ended.failed": z.object({ tripId, reason: z.string() }),
	"booking.wanted": z.object({ tripId, part }),
	"booking.made": z.object({ tripId, part, reference: z.string() }),
	"booking.unwanted": z.object({ tripId, part }),
});
