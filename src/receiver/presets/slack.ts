import { checkAge } from "../../signature/verify.ts";
import { invalidBody, isObject, parseObject } from "../content.ts";
import { isForm, parseForm, parsePayload } from "../form.ts";
import type { ReceivedEvent } from "../received-event.ts";
import type { ReceiverPreset } from "../source.ts";
import {
	createHmacVerifier,
	isJson,
	joinText,
	mismatch,
	type PresetOptions,
	readHeader,
	readHex,
	readId,
	readSeconds,
	readText,
	toIso,
} from "./shared-secret.ts";

/**
 * Slack's Events API: `slack.` and the type of the inner event, as in `slack.app_mention`. The data is the whole payload, so
 * that `data.event` is what happened; id and time are its `event_id` and `event_time`. The `url_verification` is answered.
 *
 * Slash commands are `slack.command`, their data the fields of the form; buttons, dialogs and shortcuts are `slack.` and the
 * type of their payload, as in `slack.block_actions`, their data that payload. Their id is the signature, as Slack sends
 * each once, and the answer is an empty 200: reply by way of `response_url`.
 *
 * Throws ERR_CALLHOOK_INVALID_SECRET.
 *
 * @example
 * ```ts
 * const receiver = createReceiver({ preset: slack({ secret }), bus });
 * ```
 */
export function slack({ secret }: PresetOptions): ReceiverPreset {
	const isSigned = createHmacVerifier(secret);
	return {
		name: "slack",
		open: ({ now, toleranceSeconds }) => ({
			takes: (headers) => isJson(headers) || isForm(headers),
			async read(body, headers) {
				const timestamp = readHeader(headers, "x-slack-request-timestamp");
				const given = readHeader(headers, "x-slack-signature");
				const seconds = readSeconds(timestamp);
				checkAge(Math.floor(now() / 1_000) - seconds, toleranceSeconds);
				const signature = given.startsWith("v0=") ? readHex(given.slice(3)) : undefined;
				if (signature === undefined) throw mismatch(0);
				if (!(await isSigned(joinText(`v0:${timestamp}:`, body), [signature]))) throw mismatch(1);
				if (isForm(headers)) {
					const fields = parseForm(body);
					// It only tries the certificate.
					if (fields.ssl_check === "1") return { answer: new Response(null, { status: 200 }) };
					const event = { id: given.slice(3), time: toIso(seconds), ...nameForm(fields) };
					return { events: [event], isAnsweredEmpty: true };
				}
				const data = parseObject(body);
				const outer = readText(data, "type");
				if (outer === "url_verification") {
					return { answer: Response.json({ challenge: readText(data, "challenge") }) };
				}
				if (outer !== "event_callback") {
					// Such as app_rate_limited, which has no id: each comes once, and its signature names it.
					return { events: [{ id: given.slice(3), type: `slack.${outer}`, time: toIso(seconds), data }] };
				}
				if (!isObject(data.event)) throw invalidBody('"event" is not an object');
				const type = `slack.${readText(data.event, "type")}`;
				return {
					events: [{ id: readId(data, "event_id"), type, time: readTime(data.event_time, seconds), data }],
				};
			},
		}),
	};
}

function nameForm(fields: Readonly<Record<string, string>>): Pick<ReceivedEvent, "type" | "data"> {
	if (fields.command !== undefined) return { type: "slack.command", data: fields };
	const data = parsePayload(fields);
	return { type: `slack.${readText(data, "type")}`, data };
}

function readTime(eventTime: unknown, seconds: number): string {
	const isSeconds = typeof eventTime === "number" && Number.isSafeInteger(eventTime) && eventTime > 0;
	return toIso(isSeconds && eventTime < 1e11 ? eventTime : seconds);
}
