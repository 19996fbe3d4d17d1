import { createHmac } from "node:crypto";
import fc from "fast-check";
import { Webhook } from "svix";
import { describe, expect, test, vi } from "vitest";
import { systemClock } from "../../internal/clock.ts";
import { createReceiver } from "../receiver.ts";
import type { ReceiverPreset } from "../source.ts";
import { github } from "./github.ts";
import type { PresetOptions } from "./shared-secret.ts";
import { shopify } from "./shopify.ts";
import { slack } from "./slack.ts";
import { stripe } from "./stripe.ts";
import { svix } from "./svix.ts";

const seconds = 1_700_000_000;
const now = new Date(seconds * 1_000).toISOString();
const clock = { ...systemClock, now: () => seconds * 1_000 };

/** The HMAC by another implementation than the one under test. */
const hmac = (secret: string, text: string, encoding: "hex" | "base64" = "hex") =>
	createHmac("sha256", secret).update(text).digest(encoding);

interface Sender {
	readonly preset: (options: PresetOptions) => ReceiverPreset;
	readonly secret: string;
	readonly otherSecret: string;
	readonly payload: Readonly<Record<string, unknown>>;
	/** What the preset makes of the payload. */
	readonly event: readonly [type: string, data: unknown, options: object];
	sign(secret: string, body: string, at: number): Record<string, string>;
	/** The headers without which nothing is genuine. */
	readonly needs: readonly string[];
	/** Where the signature stands. */
	readonly signature: string;
	readonly hasTime: boolean;
}

const issue = { action: "opened", issue: { number: 1 } };
const invoice = {
	id: "evt_1",
	object: "event",
	type: "invoice.paid",
	created: seconds - 7,
	data: { object: {} },
};
const order = { id: 820_982_911, total_price: "10.00" };
const mention = {
	...{ type: "event_callback", event_id: "Ev1", event_time: seconds - 7, team_id: "T1" },
	event: { type: "app_mention", text: "hi" },
};
const user = { type: "user.created", timestamp: "2023-11-14T22:13:13Z", data: { id: "u_1" } };
const hops = { metadata: { webhook: { hops: 1 } } };
const sevenEarlier = new Date((seconds - 7) * 1_000).toISOString();

const senders: Readonly<Record<string, Sender>> = {
	github: {
		...{ preset: github, secret: "It's a Secret to Everybody", otherSecret: "It's another" },
		...{
			payload: issue,
			event: ["github.issues.opened", issue, { id: "72d3162e-cc78", time: now, ...hops }],
		},
		sign: (secret, body) => ({
			...{ "x-github-event": "issues", "x-github-delivery": "72d3162e-cc78" },
			"x-hub-signature-256": `sha256=${hmac(secret, body)}`,
		}),
		...{ needs: ["x-github-event", "x-github-delivery", "x-hub-signature-256"] },
		...{ signature: "x-hub-signature-256", hasTime: false },
	},
	stripe: {
		...{
			preset: stripe,
			secret: "whsec_test_secret_1",
			otherSecret: "whsec_test_secret_2",
			payload: invoice,
		},
		event: ["stripe.invoice.paid", invoice, { id: "evt_1", time: sevenEarlier, ...hops }],
		sign: (secret, body, at) => ({ "stripe-signature": `t=${at},v1=${hmac(secret, `${at}.${body}`)},v0=00` }),
		...{ needs: ["stripe-signature"], signature: "stripe-signature", hasTime: true },
	},
	shopify: {
		...{ preset: shopify, secret: "hush-hush-hush", otherSecret: "hush-hush-hush-hush", payload: order },
		event: [
			...(["shopify.orders.create", order] as const),
			{
				...{ id: "b54557e4-bdd9", time: "2023-11-14T22:13:19.5Z" },
				metadata: { webhook: { hops: 1, source: "a.myshopify.com" } },
			},
		],
		sign: (secret, body) => ({
			...{ "x-shopify-topic": "orders/create", "x-shopify-webhook-id": "b54557e4-bdd9" },
			...{ "x-shopify-triggered-at": "2023-11-14T22:13:19.5Z", "x-shopify-shop-domain": "a.myshopify.com" },
			"x-shopify-hmac-sha256": hmac(secret, body, "base64"),
		}),
		needs: ["x-shopify-topic", "x-shopify-webhook-id", "x-shopify-hmac-sha256"],
		...{ signature: "x-shopify-hmac-sha256", hasTime: false },
	},
	slack: {
		...{ preset: slack, secret: "8f742231b10e8888abcd99yyyzzz85a5", otherSecret: "0".repeat(32) },
		...{
			payload: mention,
			event: ["slack.app_mention", mention, { id: "Ev1", time: sevenEarlier, ...hops }],
		},
		sign: (secret, body, at) => ({
			"x-slack-request-timestamp": String(at),
			"x-slack-signature": `v0=${hmac(secret, `v0:${at}:${body}`)}`,
		}),
		needs: ["x-slack-request-timestamp", "x-slack-signature"],
		...{ signature: "x-slack-signature", hasTime: true },
	},
	svix: {
		...{ preset: svix, secret: `whsec_${Buffer.alloc(24, 1).toString("base64")}`, payload: user },
		otherSecret: `whsec_${Buffer.alloc(24, 2).toString("base64")}`,
		event: ["user.created", user.data, { id: "msg_1", time: user.timestamp, ...hops }],
		sign: (secret, body, at) => ({
			...{ "svix-id": "msg_1", "svix-timestamp": String(at) },
			"svix-signature": new Webhook(secret).sign("msg_1", new Date(at * 1_000), body),
		}),
		needs: ["svix-id", "svix-timestamp", "svix-signature"],
		...{ signature: "svix-signature", hasTime: true },
	},
};

function setup(preset: ReceiverPreset) {
	const emit = vi.fn();
	const receiver = createReceiver({ preset, bus: { emit }, clock });
	const post = async (body: BodyInit, headers: Record<string, string>) => {
		const request = { method: "POST", body, headers: { "content-type": "application/json", ...headers } };
		const response = await receiver.fetch(new Request("http://localhost/", request));
		const text = await response.text();
		return [response.status, text === "" ? undefined : (JSON.parse(text) as unknown)];
	};
	return { emit, post };
}

const refused = (code: string) => [401, { error: `ERR_CALLHOOK_SIGNATURE_${code}` }];

describe.each(Object.entries(senders))("%s()", (_, sender) => {
	const { preset, secret, otherSecret, payload, sign, signature } = sender;
	const body = JSON.stringify(payload);
	const signed = sign(secret, body, seconds);

	test("accepts what the sender signed, and names the event", async () => {
		const { emit, post } = setup(preset({ secret }));
		expect(await post(body, signed)).toEqual([204, undefined]);
		expect(emit.mock.calls).toEqual([sender.event]);
	});

	test("accepts each of two secrets", async () => {
		for (const each of [
			[otherSecret, secret],
			[secret, otherSecret],
		]) {
			expect((await setup(preset({ secret: each })).post(body, signed))[0]).toBe(204);
		}
	});

	test("refuses another secret, another body, and no signature at all", async () => {
		const { emit, post } = setup(preset({ secret }));
		expect(await post(body, sign(otherSecret, body, seconds))).toEqual(refused("MISMATCH"));
		expect(await post(`${body} `, signed)).toEqual(refused("MISMATCH"));
		for (const name of sender.needs) {
			const { [name]: __, ...rest } = signed;
			expect(await post(body, rest)).toEqual(refused("HEADER"));
			expect(await post(body, { ...signed, [name]: "" })).toEqual(refused("HEADER"));
			expect(await post(body, { ...signed, [name]: `${signed[name]}, ${signed[name]}` })).toEqual(
				refused("HEADER"),
			);
		}
		expect(emit).not.toHaveBeenCalled();
	});

	test("refuses what is no JSON object, genuine or not, and other content types", async () => {
		const { emit, post } = setup(preset({ secret }));
		for (const text of ["", "[]", "Hello, World!"]) {
			expect(await post(text, sign(secret, text, seconds))).toEqual([
				400,
				{ error: "ERR_CALLHOOK_INVALID_BODY" },
			]);
		}
		const typed = { ...signed, "content-type": "text/plain" };
		expect(await post(body, typed)).toEqual([415, { error: "UNSUPPORTED_MEDIA_TYPE" }]);
		expect(emit).not.toHaveBeenCalled();
	});

	test.runIf(sender.hasTime)("takes a message of 300 s, and none older or further ahead", async () => {
		const { post } = setup(preset({ secret }));
		for (const at of [seconds - 300, seconds + 300]) {
			expect((await post(body, sign(secret, body, at)))[0]).toBe(204);
		}
		expect(await post(body, sign(secret, body, seconds - 301))).toEqual(refused("EXPIRED"));
		expect(await post(body, sign(secret, body, seconds + 301))).toEqual(refused("NOT_YET_VALID"));
	});

	test("never accepts a signature that was changed, whatever it looks like", async () => {
		const { emit, post } = setup(preset({ secret }));
		const value = fc.string({
			unit: fc.integer({ min: 33, max: 126 }).map((code) => String.fromCharCode(code)),
		});
		const given = signed[signature] as string;
		const changed = fc.oneof(
			value,
			fc.nat(given.length).map((length) => given.slice(0, length)),
			value.map((text) => given.slice(0, given.length - 4) + text),
		);
		await fc.assert(
			fc.asyncProperty(
				changed.filter((text) => text !== given && !text.startsWith(given.replace(",v0=00", ""))),
				async (text) => {
					expect((await post(body, { ...signed, [signature]: text }))[0]).toBe(401);
				},
			),
		);
		expect(emit).not.toHaveBeenCalled();
	});

	test.each([[""], [[]], [[secret, ""]], [undefined], ["short"]])("refuses the secret %j", (bad) => {
		expect(() => setup(preset({ secret: bad as string }))).toThrow(
			expect.objectContaining({ code: "ERR_CALLHOOK_INVALID_SECRET" }),
		);
	});
});

describe("what only one sender does", () => {
	test("github: the vector of its documentation, a ping, and an event without an action", async () => {
		const secret = "It's a Secret to Everybody";
		const { emit, post } = setup(github({ secret }));
		const documented = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";
		const headers = { "x-github-event": "push", "x-github-delivery": "d" };
		const genuine = await post("Hello, World!", { ...headers, "x-hub-signature-256": documented });
		expect(genuine).toEqual([400, { error: "ERR_CALLHOOK_INVALID_BODY" }]);
		const signature = { "x-hub-signature-256": `sha256=${hmac(secret, "{}")}` };
		expect((await post("{}", { ...headers, ...signature, "x-github-event": "ping" }))[0]).toBe(204);
		expect(emit).not.toHaveBeenCalled();
		expect((await post("{}", { ...headers, ...signature }))[0]).toBe(204);
		expect(emit.mock.lastCall?.[0]).toBe("github.push");
	});

	test("stripe: one of several signatures is enough; two timestamps are none; a body without an id is no event", async () => {
		const secret = "whsec_test_secret_1";
		const { post } = setup(stripe({ secret }));
		const body = JSON.stringify(invoice);
		const genuine = hmac(secret, `${seconds}.${body}`);
		const header = `t=${seconds},v1=${"0".repeat(64)},v1=${genuine}`;
		expect((await post(body, { "stripe-signature": header }))[0]).toBe(204);
		expect(await post(body, { "stripe-signature": `t=${seconds},${header}` })).toEqual(refused("HEADER"));
		expect(await post(body, { "stripe-signature": `t=1.5,v1=${genuine}` })).toEqual(refused("TIMESTAMP"));
		expect(await post(body, { "stripe-signature": `t=${seconds},v0=${genuine}` })).toEqual(
			refused("MISMATCH"),
		);
		const nameless = hmac(secret, `${seconds}.{"type":"a"}`);
		expect((await post('{"type":"a"}', { "stripe-signature": `t=${seconds},v1=${nameless}` }))[0]).toBe(400);
	});

	test("slack: the verification is answered, to Slack only; what is no callback is named by its own type", async () => {
		const { secret, sign } = senders.slack as Sender;
		const { emit, post } = setup(slack({ secret }));
		const asked = JSON.stringify({ type: "url_verification", challenge: "c-1", token: "t" });
		expect(await post(asked, sign(secret, asked, seconds))).toEqual([200, { challenge: "c-1" }]);
		expect(await post(asked, sign("another secret", asked, seconds))).toEqual(refused("MISMATCH"));
		expect(emit).not.toHaveBeenCalled();
		const limited = JSON.stringify({ type: "app_rate_limited", minute_rate_limited: 1 });
		expect((await post(limited, sign(secret, limited, seconds)))[0]).toBe(204);
		expect(emit.mock.lastCall?.[0]).toBe("slack.app_rate_limited");
	});
});
