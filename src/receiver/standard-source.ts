import { createVerifier, type WebhookMessage } from "../signature/verify.ts";
import { readBatch, readBinary, readStructured } from "./cloud-event.ts";
import { type ContentFormat, readFormat } from "./content.ts";
import { parseStandardBody, type ReceivedEvent } from "./received-event.ts";
import type { ReceiverPreset, SourceContext } from "./source.ts";

/** Standard Webhooks, with the body that it recommends or with CloudEvents: what Callhook's own bridge sends. */
export function standardWebhooks(secrets: string | readonly string[]): ReceiverPreset {
	return {
		name: "standard",
		open({ toleranceSeconds, now }: SourceContext) {
			const verify = createVerifier({ secrets, toleranceSeconds, now });
			return {
				takes: (headers) => readFormat(headers) !== undefined,
				async read(body, headers) {
					const message = await verify(body, headers);
					return { events: readEvents(readFormat(headers), message, headers) };
				},
			};
		},
	};
}

function readEvents(
	format: ContentFormat | undefined,
	message: WebhookMessage,
	headers: Headers,
): readonly ReceivedEvent[] {
	if (format === "cloudevents-structured") return [readStructured(message)];
	if (format === "cloudevents-batch") return readBatch(message);
	if (format === "cloudevents-binary") return [readBinary(message, headers)];
	const { type, timestamp, data } = parseStandardBody(message.body);
	return [{ id: message.id, type, time: timestamp, data }];
}
