import { parseObject } from "../content.ts";
import { isForm, parseForm, parsePayload } from "../form.ts";
import type { ReceiverPreset } from "../source.ts";
import {
	createHmacVerifier,
	isJson,
	mismatch,
	type PresetOptions,
	readHeader,
	readHex,
	readIdHeader,
} from "./shared-secret.ts";

const signatureHeader = "x-hub-signature-256";
const pingType = "github.ping";

/**
 * GitHub's webhooks, as JSON or as a form: `github.push`, and with an action `github.issues.opened`. The
 * data is the whole payload, the id that of the delivery, the time that of its arrival, since GitHub signs none: an old
 * request that somebody sends again is found by `dedupe` only. `github.ping` is answered, and emitted where the catalog
 * lists it.
 *
 * Throws ERR_CALLHOOK_INVALID_SECRET.
 *
 * @example
 * ```ts
 * const receiver = createReceiver({ preset: github({ secret }), bus });
 * ```
 */
export function github({ secret }: PresetOptions): ReceiverPreset {
	const isSigned = createHmacVerifier(secret);
	return {
		name: "github",
		open: ({ now }) => ({
			takes: (headers) => isJson(headers) || isForm(headers),
			async read(body, headers) {
				const given = readHeader(headers, signatureHeader);
				const signature = given.startsWith("sha256=") ? readHex(given.slice(7)) : undefined;
				if (signature === undefined) throw mismatch(0);
				if (!(await isSigned(body, [signature]))) throw mismatch(1);
				const id = readIdHeader(headers, "x-github-delivery");
				const data = isForm(headers) ? parsePayload(parseForm(body)) : parseObject(body);
				const { action } = data;
				const event = `github.${readHeader(headers, "x-github-event")}`;
				const type = typeof action === "string" && action !== "" ? `${event}.${action}` : event;
				const time = new Date(now()).toISOString();
				return { events: [{ id, type, time, data, isPing: type === pingType }] };
			},
		}),
	};
}
