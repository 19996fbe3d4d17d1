import { decodeBase64 } from "../../internal/base64.ts";
import { parseTime } from "../../internal/iso-time.ts";
import { parseObject } from "../content.ts";
import type { ReceiverPreset } from "../source.ts";
import {
	createHmacVerifier,
	isJson,
	mismatch,
	type PresetOptions,
	readHeader,
	readIdHeader,
} from "./shared-secret.ts";

const base64 = /^[A-Za-z\d+/]{42}[AEIMQUYcgkosw048]=$/u;

/**
 * Shopify's webhooks: the topic with dots, as in `shopify.orders.create` for `orders/create`. The data is the whole payload,
 * the id that of the webhook, the time that of `X-Shopify-Triggered-At`, the source the shop's domain. Shopify signs no
 * time: an old request that somebody sends again is found by `dedupe` only.
 *
 * Throws ERR_CALLHOOK_INVALID_SECRET.
 *
 * @example
 * ```ts
 * const receiver = createReceiver({ preset: shopify({ secret }), bus });
 * ```
 */
export function shopify({ secret }: PresetOptions): ReceiverPreset {
	const isSigned = createHmacVerifier(secret);
	return {
		name: "shopify",
		open: ({ now }) => ({
			takes: isJson,
			async read(body, headers) {
				const given = readHeader(headers, "x-shopify-hmac-sha256");
				if (!base64.test(given)) throw mismatch(0);
				const signature = decodeBase64(given);
				if (!(await isSigned(body, [signature]))) throw mismatch(1);
				const id = readIdHeader(headers, "x-shopify-webhook-id");
				const type = `shopify.${readHeader(headers, "x-shopify-topic").replaceAll("/", ".")}`;
				const triggered = headers.get("x-shopify-triggered-at") ?? "";
				const time = Number.isNaN(parseTime(triggered)) ? new Date(now()).toISOString() : triggered;
				const source = headers.get("x-shopify-shop-domain") ?? undefined;
				return { events: [{ id, type, time, data: parseObject(body), source }] };
			},
		}),
	};
}
