export { type VerifyWebhookOptions, verifyWebhook, type WebhookMessage } from "../signature/verify.ts";
export { type FastifyScope, type KoaContext, toFastifyPlugin, toKoaMiddleware } from "./frameworks.ts";
export type { EventSink, ReceivedOptions } from "./intake.ts";
export { toNodeHandler } from "./node-handler.ts";
export {
	type CloudEventsOptions,
	type CloudEventsVerification,
	cloudEvents,
} from "./presets/cloud-events.ts";
export { github } from "./presets/github.ts";
export type { PresetOptions } from "./presets/shared-secret.ts";
export { shopify } from "./presets/shopify.ts";
export { slack } from "./presets/slack.ts";
export { stripe } from "./presets/stripe.ts";
export { svix } from "./presets/svix.ts";
export { createReceiver, type Receiver } from "./receiver.ts";
export type { ReceiverOptions } from "./receiver-options.ts";
export type { ReceiverPreset } from "./source.ts";
