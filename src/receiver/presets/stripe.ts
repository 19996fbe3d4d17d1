import { parseTime } from "../../internal/iso-time.ts";
import { checkAge } from "../../signature/verify.ts";
import { parseObject } from "../content.ts";
import type { ReceiverPreset } from "../source.ts";
import {
	createHmacVerifier,
	headerError,
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

const signatureHeader = "stripe-signature";
/** What a forger may make us compare. */
const maxSignatures = 16;

/**
 * Stripe's webhooks: `stripe.` and the type, as in `stripe.invoice.paid`. The data is the whole event object, so that
 * `data.data.object` is what it is about; id and time are those of the event.
 *
 * Throws ERR_CALLHOOK_INVALID_SECRET.
 *
 * @example
 * ```ts
 * const receiver = createReceiver({ preset: stripe({ secret }), bus });
 * ```
 */
export function stripe({ secret }: PresetOptions): ReceiverPreset {
	const isSigned = createHmacVerifier(secret);
	return {
		name: "stripe",
		open: ({ now, toleranceSeconds }) => ({
			takes: isJson,
			async read(body, headers) {
				const { timestamp, signatures } = readSignature(readHeader(headers, signatureHeader));
				const seconds = readSeconds(timestamp);
				checkAge(Math.floor(now() / 1_000) - seconds, toleranceSeconds);
				if (!(await isSigned(joinText(`${timestamp}.`, body), signatures))) throw mismatch(signatures.length);
				const data = parseObject(body);
				const type = `stripe.${readText(data, "type")}`;
				return {
					events: [{ id: readId(data, "id"), type, time: readCreated(data.created) ?? toIso(seconds), data }],
				};
			},
		}),
	};
}

/** `t=seconds,v1=hex`, with more than one `v1` while a secret replaces another. */
function readSignature(header: string): { timestamp: string; signatures: Uint8Array[] } {
	const entries = header.split(",").map((entry) => entry.split("=", 2));
	const timestamps = entries.filter(([name]) => name === "t").map(([, value = ""]) => value);
	const [timestamp] = timestamps;
	if (timestamp === undefined || timestamps.length > 1) {
		throw headerError(signatureHeader, "it has not exactly one timestamp");
	}
	const signatures = entries
		.filter(([name]) => name === "v1")
		.flatMap(([, value = ""]) => readHex(value) ?? [])
		.slice(0, maxSignatures);
	return { timestamp, signatures };
}

/** Seconds, or in newer events a time as text. */
function readCreated(created: unknown): string | undefined {
	if (typeof created === "string" && !Number.isNaN(parseTime(created))) return created;
	const isSeconds =
		typeof created === "number" && Number.isSafeInteger(created) && created > 0 && created < 1e11;
	return isSeconds ? toIso(created) : undefined;
}
