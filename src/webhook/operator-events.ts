import { z } from "zod";
import { CallhookError } from "../errors.ts";
import type { Catalog } from "../event/index.ts";
import type { DeliveryInfo, DisabledReason, OutboxSignals } from "../outbox/index.ts";

/** Which endpoint an operator event is about. */
interface AboutEndpoint {
	readonly endpointId: string;
	readonly url: string;
	readonly tenant?: string | undefined;
}

/** An event type of a catalog. */
interface OperatorEvent<Data> {
	readonly description: string;
	readonly schema: z.ZodType<Data, Data>;
}

/** The operator events, by type. */
export interface WebhookEvents {
	readonly "webhook.endpoint.disabled": OperatorEvent<AboutEndpoint & { readonly reason: DisabledReason }>;
	readonly "webhook.endpoint.failing": OperatorEvent<
		AboutEndpoint & { readonly failingSince: string; readonly disabledAt: string }
	>;
	readonly "webhook.endpoint.recovered": OperatorEvent<AboutEndpoint & { readonly failingSince: string }>;
	readonly "webhook.delivery.dead": OperatorEvent<{
		readonly deliveryId: string;
		readonly eventId: string;
		readonly type: string;
		readonly endpointId: string;
		readonly attempts: number;
	}>;
}

const endpoint = { endpointId: z.string(), url: z.string(), tenant: z.string().optional() };

/**
 * The events that a bridge with `operatorEvents` emits on its bus, for its catalog:
 * `defineEvents({ ...webhookEvents, "order.paid": … })`. They can be forwarded like others, to an endpoint of those who
 * run the application; a webhook about such an event causes no further one.
 */
export const webhookEvents: WebhookEvents = {
	"webhook.endpoint.disabled": {
		description: "An endpoint gets no more events.",
		schema: z.object({ ...endpoint, reason: z.enum(["manual", "gone", "asked", "failing"]) }),
	},
	"webhook.endpoint.failing": {
		description: "Nothing that was sent to an endpoint has succeeded for long: it will be disabled.",
		schema: z.object({ ...endpoint, failingSince: z.string(), disabledAt: z.string() }),
	},
	"webhook.endpoint.recovered": {
		description: "An endpoint that was failing takes webhooks again.",
		schema: z.object({ ...endpoint, failingSince: z.string() }),
	},
	"webhook.delivery.dead": {
		description: "The last attempt to deliver an event to an endpoint has failed.",
		schema: z.object({
			deliveryId: z.string(),
			eventId: z.string(),
			type: z.string(),
			endpointId: z.string(),
			attempts: z.int(),
		}),
	},
};

/** What operator events need of the bus. */
export interface OperatorBus {
	observe<Name extends keyof OutboxSignals>(
		name: Name,
		observer: (info: OutboxSignals[Name]) => unknown,
	): () => void;
	emit(type: string, data: unknown): unknown;
}

/** Throws ERR_CALLHOOK_INVALID_OPTION for a catalog that lacks one of the operator events. */
export function checkOperatorCatalog(catalog: Catalog | undefined): void {
	const lacking = Object.keys(webhookEvents).filter((type) => catalog?.get(type) === undefined);
	if (catalog === undefined || lacking.length === 0) return;
	const types = lacking.join(", ");
	throw new CallhookError(
		"ERR_CALLHOOK_INVALID_OPTION",
		`Option "operatorEvents" needs a catalog with webhookEvents, as defineEvents({ ...webhookEvents, … }); it lacks ${types}`,
		{ option: "operatorEvents", expected: "a catalog with webhookEvents", received: `one without ${types}` },
	);
}

const ownPrefix = "webhook.";

/** Whether an event tells of webhooks: what happens to it is no news. */
const isOperatorEvent = (type: string): boolean => type.startsWith(ownPrefix);

/** Emits what happens to webhooks as events of the bus; returns how to stop. */
export function emitOperatorEvents(bus: OperatorBus, group: string): () => void {
	const stops = [
		bus.observe("endpoint:disabled", (info) => void bus.emit("webhook.endpoint.disabled", info)),
		bus.observe("endpoint:failing", (info) => void bus.emit("webhook.endpoint.failing", info)),
		bus.observe("endpoint:recovered", (info) => void bus.emit("webhook.endpoint.recovered", info)),
		bus.observe("delivery:dead", (info) => {
			if (info.group === group && !isOperatorEvent(info.type)) {
				bus.emit("webhook.delivery.dead", describeDelivery(info));
			}
		}),
	];
	return () => {
		for (const stop of stops) stop();
	};
}

function describeDelivery({ deliveryId, eventId, type, target, attempts }: DeliveryInfo): object {
	return { deliveryId, eventId, type, endpointId: target, attempts };
}
