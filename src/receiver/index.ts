export { type VerifyWebhookOptions, verifyWebhook, type WebhookMessage } from "../signature/verify.ts";
export { toNodeHandler } from "./node-handler.ts";
export { createReceiver, type EventSink, type Receiver, type ReceiverOptions } from "./receiver.ts";
