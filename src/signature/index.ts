// The door for those who sign. Those who verify enter through verify.ts, which loads no node: module.
export { webhookIdHeader, webhookSignatureHeader, webhookTimestampHeader } from "./headers.ts";
export { generateSecret, parseSecret } from "./secrets.ts";
export { createSigner, type Signer } from "./sign.ts";
