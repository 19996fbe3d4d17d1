import { parseTime } from "../../internal/iso-time.ts";
import { createVerifier } from "../../signature/verify.ts";
import { parseObject } from "../content.ts";
import type { ReceiverPreset } from "../source.ts";
import { isJson, type PresetOptions, readText } from "./shared-secret.ts";

const names = ["id", "timestamp", "signature"] as const;

/**
 * Webhooks that are sent through Svix, with headers `svix-id`, `svix-timestamp` and `svix-signature`: the type is that of the
 * payload. The data is its `data` where it has one, else all of it; the time its `timestamp` or `created_at`, else that of
 * the attempt.
 *
 * Throws ERR_CALLHOOK_INVALID_SECRET, by `createReceiver`.
 *
 * @example
 * ```ts
 * const receiver = createReceiver({ preset: svix({ secret }), bus });
 * ```
 */
export function svix({ secret: secrets }: PresetOptions): ReceiverPreset {
	return {
		name: "svix",
		open({ toleranceSeconds, now }) {
			const verify = createVerifier({ secrets, toleranceSeconds, now });
			return {
				takes: isJson,
				async read(body, headers) {
					const { id, timestamp } = await verify(body, rename(headers));
					const payload = parseObject(body);
					const type = readText(payload, "type");
					const told = [payload.timestamp, payload.created_at].find(isTime);
					const time = told ?? new Date(timestamp * 1_000).toISOString();
					return { events: [{ id, type, time, data: payload.data ?? payload }] };
				},
			};
		},
	};
}

function rename(headers: Headers): Record<string, string> {
	return Object.fromEntries(
		names.flatMap((name) => {
			const value = headers.get(`svix-${name}`);
			return value === null ? [] : [[`webhook-${name}`, value]];
		}),
	);
}

function isTime(value: unknown): value is string {
	return typeof value === "string" && !Number.isNaN(parseTime(value));
}
