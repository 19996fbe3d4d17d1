import { checkOptions, invalidOption } from "../../internal/options.ts";
import { createVerifier } from "../../signature/verify.ts";
import {
	type Attributes,
	invalidCloudEvent,
	parseBatch,
	parseHeaders,
	parseStructured,
	readCloudEvent,
} from "../cloud-event.ts";
import { readBytes, readMembers } from "../cloud-event-data.ts";
import { mediaType } from "../content.ts";
import type { ReceivedEvent } from "../received-event.ts";
import type { ReceiverPreset, SourceContext } from "../source.ts";
import { createTokenCheck } from "./token.ts";

/**
 * How senders of CloudEvents prove who they are:
 *
 * - `{ token }`: as `Authorization: Bearer`, or, with `header`, as the value of another header;
 * - `{ secrets }`: by a signature of Standard Webhooks, over the body and the `webhook-id`;
 * - `"nothing"`: not at all. Anyone who can reach the receiver can emit on the bus. For networks where something else
 *   keeps strangers out.
 */
export type CloudEventsVerification =
	| {
			/** At least 16 characters; several while one replaces another. */
			readonly token: string | readonly string[];
			/** Default: `authorization`, where the token stands behind `Bearer`. */
			readonly header?: string | undefined;
	  }
	| { readonly secrets: string | readonly string[] }
	| "nothing";

/** What {@link cloudEvents} needs of the sender. */
export interface CloudEventsOptions {
	/** There is no default: a receiver that verifies nothing has to say so. */
	readonly verify: CloudEventsVerification;
}

/**
 * CloudEvents 1.0 of any sender: binary, structured and in batches. Their id is unique within their `source` only, so the
 * bus has an event under an id made of both, the same each time it comes; its own is `event.metadata.webhook.id`, its
 * source `event.metadata.webhook.source`. With `secrets` the id of an event that comes alone is the `webhook-id`: a signature
 * covers no headers, so that the same body could come again in another mode. Data that is neither JSON nor text is base64.
 *
 * Throws ERR_CALLHOOK_INVALID_OPTION or ERR_CALLHOOK_INVALID_SECRET, that of `secrets` by `createReceiver`.
 *
 * @example
 * ```ts
 * const receiver = createReceiver({ preset: cloudEvents({ verify: { token } }), bus });
 * ```
 */
export function cloudEvents(options: CloudEventsOptions): ReceiverPreset {
	checkOptions("options", options, ["verify"]);
	const verify = (options as Partial<CloudEventsOptions> | undefined)?.verify;
	const open = createProof(verify);
	return {
		name: "cloudevents",
		open(context) {
			const prove = open(context);
			return {
				takes: (headers) => readMode(headers) !== undefined,
				isOpenToAll: verify === "nothing",
				async read(body, headers) {
					const signedId = await prove(body, headers);
					const mode = readMode(headers);
					const time = new Date(context.now()).toISOString();
					if (mode === "binary") {
						// A sender percent-encodes the space in an id, so these are two headers.
						if (headers.get("ce-id")?.includes(", ") === true) throw invalidCloudEvent('"ce-id" is repeated');
						const data = readBytes(body, mediaType(headers));
						return { events: [await readOne(parseHeaders(headers), data, time, signedId)] };
					}
					const events: ReceivedEvent[] = [];
					// One after the other: of several that fail at once, all but the first would be unhandled rejections.
					for (const each of mode === "batch" ? parseBatch(body) : [parseStructured(body)]) {
						events.push(
							await readOne(each, readMembers(each), time, mode === "batch" ? undefined : signedId),
						);
					}
					return { events };
				},
			};
		},
	};
}

/** Rejects what is not genuine; resolves with the id that a signature covers, if there is one. */
type Prove = (body: Uint8Array, headers: Headers) => Promise<string | undefined>;

function createProof(verify: unknown): (context: SourceContext) => Prove {
	if (verify === "nothing") return () => () => Promise.resolve(undefined);
	if (typeof verify !== "object" || verify === null || !("token" in verify || "secrets" in verify)) {
		const expected = '{ token }, { secrets } or, to take events from anyone, "nothing"';
		// A text that came here may be a token, which no message may show.
		throw invalidOption("verify", expected, typeof verify === "string" ? "another text" : verify);
	}
	if ("token" in verify) {
		checkOptions("verify", verify, ["token", "header"]);
		const { token, header } = verify as { readonly token: string; readonly header?: string };
		if (header !== undefined && !(typeof header === "string" && /^[\w-]+$/u.test(header))) {
			throw invalidOption("verify.header", "the name of a header", header);
		}
		const check = createTokenCheck(token, header);
		return () => (_, headers) => check(headers).then(() => undefined);
	}
	checkOptions("verify", verify, ["secrets"]);
	const { secrets } = verify as { readonly secrets: string };
	return ({ toleranceSeconds, now }) => {
		const verifier = createVerifier({ secrets, toleranceSeconds, now });
		return async (body, headers) => (await verifier(body, headers)).id;
	};
}

function readMode(headers: Headers): "structured" | "batch" | "binary" | undefined {
	const type = mediaType(headers);
	if (type === "application/cloudevents+json") return "structured";
	if (type === "application/cloudevents-batch+json") return "batch";
	// Other formats, such as Avro, announce themselves the same way.
	if (type?.startsWith("application/cloudevents") === true) return undefined;
	return headers.has("ce-specversion") ? "binary" : undefined;
}

const usableId = /^[^\p{Cc}\p{Cs}]{1,1024}$/u;
const usableSource = /^[^\s\p{Cc}\p{Cs}]{1,1024}$/u;

async function readOne(
	attributes: Attributes,
	data: unknown,
	time: string,
	signedId: string | undefined,
): Promise<ReceivedEvent> {
	const { id, source } = attributes;
	const event = readCloudEvent(attributes, data, { id: signedId ?? "", time });
	if (typeof id !== "string" || !usableId.test(id))
		throw invalidCloudEvent('"id" is missing or cannot be used');
	if (typeof source !== "string" || !usableSource.test(source)) {
		throw invalidCloudEvent('"source" is missing or no URI reference');
	}
	return { ...event, id: signedId ?? (await idOf(source, id)), senderId: id };
}

async function idOf(source: string, id: string): Promise<string> {
	const bytes = new TextEncoder().encode(JSON.stringify([source, id]));
	const hash = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
	return `ce_${Array.from(hash, (byte) => byte.toString(16).padStart(2, "0")).join("")}`;
}
