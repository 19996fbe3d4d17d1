import { defineEvents } from "callhook";
import { z } from "zod";

const order = z.object({ orderId: z.string(), total: z.int() });

/** What the payment provider tells. */
export const paymentEvents = defineEvents({ "payment.succeeded": order });

/** What happens in the shop. */
export const shopEvents = defineEvents({ "payment.succeeded": order, "order.paid": order });
