/** Names the message and stays the same over all its attempts: the key by which a receiver drops repeats. */
export const webhookIdHeader = "webhook-id";
/** When this attempt was made, in whole Unix seconds. */
export const webhookTimestampHeader = "webhook-timestamp";
/** The signatures of this attempt: `version,base64` entries, separated by spaces. */
export const webhookSignatureHeader = "webhook-signature";

/** The tags of signatures: `v1` is HMAC-SHA256, `v1a` is Ed25519. */
export type SignatureVersion = "v1" | "v1a";
