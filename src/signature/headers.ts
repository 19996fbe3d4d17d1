/** Names the message and stays the same over all its attempts: the key by which a receiver drops repeats. */
export const webhookIdHeader = "webhook-id";
/** When this attempt was made, in whole Unix seconds. */
export const webhookTimestampHeader = "webhook-timestamp";
/** The signatures of this attempt: `version,base64` entries, separated by spaces. */
export const webhookSignatureHeader = "webhook-signature";

/** The version tag of HMAC-SHA256 signatures. */
export const hmacVersion = "v1";
