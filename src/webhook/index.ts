/**
 * Webhooks going out: forwards chosen events of a bus to HTTP endpoints, with no server to run.
 *
 * @module
 */
export {
	type AddressGuard,
	type AddressGuardOptions,
	createAddressGuard,
	type ResolvedAddress,
} from "./address-guard.ts";
export { type BridgeBus, createWebhookBridge, type WebhookBridge } from "./bridge.ts";
export type { BridgeOptions } from "./bridge-options.ts";
export type { Deliveries, Delivery, DeliveryQuery } from "./deliveries.ts";
export type { Endpoint, EndpointInput } from "./endpoint.ts";
export type { Endpoints } from "./endpoints.ts";
export type { RetrySchedule } from "./outcome.ts";
