import { createHmac } from "node:crypto";
import fc from "fast-check";
import { describe, expect, test, vi } from "vitest";
import { systemClock } from "../../internal/clock.ts";
import { memoryStore } from "../../stores/memory/index.ts";
import { createReceiver } from "../receiver.ts";
import type { ReceiverPreset } from "../source.ts";
import { github } from "./github.ts";
import { slack } from "./slack.ts";

// https://api.slack.com/authentication/verifying-requests-from-slack
const slackSecret = "8f742231b10e8888abcd99yyyzzz85a5";
const seconds = 1_531_420_618;
const command =
	"token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V&channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text=&response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN&trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c";
const documented = "a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503";
const githubSecret = "It's a Secret to Everybody";

const hmac = (secret: string, text: string | Uint8Array) =>
	createHmac("sha256", secret).update(text).digest("hex");

function setup(preset: ReceiverPreset) {
	const emit = vi.fn();
	const clock = { ...systemClock, now: () => seconds * 1_000 };
	const receiver = createReceiver({ preset, bus: { emit }, clock, dedupe: memoryStore() });
	const post = async (body: string | Uint8Array<ArrayBuffer>, headers: Record<string, string>) => {
		const form = { "content-type": "application/x-www-form-urlencoded; charset=utf-8", ...headers };
		const request = new Request("http://localhost/", { method: "POST", body, headers: form });
		const response = await receiver.fetch(request);
		return [response.status, await response.text()];
	};
	return { emit, post };
}

const signSlack = (body: string | Uint8Array) => ({
	"x-slack-request-timestamp": String(seconds),
	"x-slack-signature": `v0=${hmac(slackSecret, Buffer.concat([Buffer.from(`v0:${seconds}:`), Buffer.from(body)]))}`,
});
const signGithub = (body: string | Uint8Array) => ({
	...{ "x-github-event": "issues", "x-github-delivery": "72d3162e-cc78" },
	"x-hub-signature-256": `sha256=${hmac(githubSecret, body)}`,
});
const encode = (fields: Record<string, string>) => new URLSearchParams(fields).toString();
const invalid = [400, '{"error":"ERR_CALLHOOK_INVALID_BODY"}'];
const senders = {
	github: { preset: github({ secret: githubSecret }), sign: signGithub },
	slack: { preset: slack({ secret: slackSecret }), sign: signSlack },
};

test("github: a form is the same event as JSON", async () => {
	const { emit, post } = setup(senders.github.preset);
	const payload = { action: "opened", issue: { title: "a + b & c = é %" } };
	const body = encode({ payload: JSON.stringify(payload) });
	expect(await post(body, signGithub(body))).toEqual([204, ""]);
	expect(emit.mock.calls).toMatchObject([["github.issues.opened", payload, { id: "72d3162e-cc78" }]]);
	// The signature is that of the form, not of the payload in it.
	const wrong = signGithub(JSON.stringify(payload));
	expect((await post(body, { ...wrong, "x-github-delivery": "2" }))[0]).toBe(401);
});

describe("slack()", () => {
	test("a command: the vector of its documentation, and its repeat", async () => {
		const { emit, post } = setup(senders.slack.preset);
		const headers = signSlack(command);
		expect(headers["x-slack-signature"]).toBe(`v0=${documented}`);
		expect(await post(command, headers)).toEqual([200, ""]);
		expect(await post(command, headers)).toEqual([200, ""]);
		const data = Object.fromEntries(new URLSearchParams(command));
		const time = new Date(seconds * 1_000).toISOString();
		expect(emit.mock.calls).toMatchObject([["slack.command", data, { id: documented, time }]]);
	});

	test("a button: named by the type of its payload", async () => {
		const { emit, post } = setup(senders.slack.preset);
		const payload = { type: "block_actions", actions: [{ value: "approve" }] };
		const body = encode({ payload: JSON.stringify(payload) });
		expect(await post(body, signSlack(body))).toEqual([200, ""]);
		expect(emit.mock.calls.map(([type, data]) => [type, data as unknown])).toEqual([
			["slack.block_actions", payload],
		]);
	});

	test("the check of the certificate is answered, when signed", async () => {
		const { emit, post } = setup(senders.slack.preset);
		const body = encode({ ssl_check: "1", token: "t" });
		expect(await post(body, signSlack(body))).toEqual([200, ""]);
		expect((await post(body, signSlack("another")))[0]).toBe(401);
		expect(emit).not.toHaveBeenCalled();
	});
});

describe.each(Object.entries(senders))("%s(), a form that is none", (_, { preset, sign }) => {
	test.each([
		["nothing", ""],
		["no payload", "a=b"],
		["a payload twice", "payload=%7B%7D&payload=%7B%7D"],
		["an empty payload", "payload="],
		["a payload that is no JSON", "payload=%7B"],
		["a payload that is a list", "payload=%5B%5D"],
		["JSON in place of a form", '{"type":"a"}'],
		["bytes that are not UTF-8", new Uint8Array([0x70, 0xff])],
	])("%s is refused", async (__, body) => {
		const { emit, post } = setup(preset);
		expect(await post(body, sign(body))).toEqual(invalid);
		expect(emit).not.toHaveBeenCalled();
	});

	test("whatever the fields are called: no fault, and no prototype is changed", async () => {
		const { post } = setup(preset);
		const name = fc.constantFrom("payload", "__proto__", "constructor", "command", "toString", "é");
		const fields = fc.array(fc.tuple(name, fc.oneof(fc.string(), fc.json())));
		await fc.assert(
			fc.asyncProperty(fields, async (pairs) => {
				const body = new URLSearchParams(pairs).toString();
				const [status, text] = await post(body, sign(body));
				expect([200, 204, 400]).toContain(status);
				expect(status !== 400 || /^\{"error":"[A-Z_]+"\}$/.test(text as string)).toBe(true);
				expect(Object.keys(Object.prototype)).toEqual([]);
			}),
		);
	});
});
