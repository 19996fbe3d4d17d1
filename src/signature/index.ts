// The door for those who sign. Those who verify enter through verify.ts, which loads no node: module.
export { webhookIdHeader, webhookSignatureHeader, webhookTimestampHeader } from "./headers.ts";
export { publicKeyOf } from "./key-pair.ts";
export { createMessageSigner, type MessageSigner, type OutgoingMessage, type SigningKey } from "./sign.ts";
export { checkSecret, generateSecret, type SignatureScheme } from "./signing-secrets.ts";
