export { hmacVersion, webhookIdHeader, webhookSignatureHeader, webhookTimestampHeader } from "./headers.ts";
export type { WebhookHeaders } from "./message-headers.ts";
export { generateSecret, parseSecret } from "./secrets.ts";
export { createSigner, type Signer } from "./sign.ts";
export {
	createVerifier,
	type Verifier,
	type VerifierOptions,
	type VerifyWebhookOptions,
	verifyWebhook,
	type WebhookMessage,
} from "./verify.ts";
