// The one module that both programs share; between companies it would be a package.
import { defineEvents } from "callhook";
import { z } from "zod";

const orderTypes = {
	"order.paid": z.object({ orderId: z.string(), dueAt: z.coerce.date<Date | string>() }),
};
const parcelTypes = {
	"parcel.sent": z.object({ orderId: z.string(), tracking: z.string() }),
};

/** Everything that may happen, in either program. */
export const events = defineEvents({ ...orderTypes, ...parcelTypes });

/** What the shop tells the warehouse, and what the warehouse tells the shop: neither takes its own events back. */
export const orderEvents = defineEvents(orderTypes);
export const parcelEvents = defineEvents(parcelTypes);
