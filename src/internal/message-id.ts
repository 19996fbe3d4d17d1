// Printable ASCII but the space and the dot. A dot would let an id swallow the timestamp behind it in
// `id.timestamp.body`, so that one signature fits two messages; the specification forbids it for that reason.
const messageId = /^[\x21-\x2d\x2f-\x7e]{1,256}$/;

/** Whether a text can be an event's id and so go into a webhook's headers and the text it signs. */
export function isMessageId(text: string): boolean {
	return messageId.test(text);
}
