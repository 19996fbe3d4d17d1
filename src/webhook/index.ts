/**
 * Webhooks going out: forwards chosen events of a bus to HTTP endpoints, with no server to run.
 *
 * @module
 */
export { generateSecret, publicKeyOf, type SignatureScheme } from "../signature/index.ts";
export {
	type AddressGuard,
	type AddressGuardOptions,
	createAddressGuard,
	type ResolvedAddress,
} from "./address-guard.ts";
export { type BridgeBus, createWebhookBridge, type StopOptions, type WebhookBridge } from "./bridge.ts";
export type { BreakerOptions, BridgeOptions } from "./bridge-options.ts";
export type {
	Counted,
	Deliveries,
	Delivery,
	DeliveryPick,
	DeliveryQuery,
	DryRun,
	RedeliverPick,
} from "./deliveries.ts";
export {
	type DescribeWebhooksOptions,
	describeWebhooks,
	type WebhookDocuments,
} from "./describe-webhooks.ts";
export type { MessageFormat } from "./described-message.ts";
export type {
	Endpoint,
	EndpointChanges,
	EndpointFields,
	EndpointInput,
	EndpointSecrets,
	EndpointTls,
} from "./endpoint.ts";
export type { EndpointQuery, Endpoints, PingResult, RotateOptions } from "./endpoints.ts";
export type { OutgoingEvent, TransformedEvent, WebhookFilter, WebhookTransform } from "./named-functions.ts";
export type { NetworkOptions } from "./network-options.ts";
export { type WebhookEvents, webhookEvents } from "./operator-events.ts";
export type { RetrySchedule } from "./outcome.ts";
export { compileWhere, type FilteredEvent } from "./where.ts";
export { whereSchema } from "./where-schema.ts";
export type { Where, WhereCondition, WhereOf, WhereOperators, WhereScalar } from "./where-type.ts";
