import fc from "fast-check";
import { Webhook } from "standardwebhooks";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import type { CallhookErrorCode } from "../errors.ts";
import { createMessageSigner, type SigningKey } from "./sign.ts";
import { generateSecret } from "./signing-secrets.ts";
import { createVerifier, type VerifyWebhookOptions, verifyWebhook, type WebhookMessage } from "./verify.ts";

const secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const timestamp = 1_614_265_330;
const text = '{"test": 2432232314}';
const genuine = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";
const decoy = "v1,Ceo5qEr07ixe2NLpvHk3FH9bwy/WavXrAFQ/9tdO6mc=";
const headers = {
	"webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
	"webhook-timestamp": String(timestamp),
	"webhook-signature": genuine,
};
const encode = (value: string): Uint8Array => new TextEncoder().encode(value);

function verify(changes: Partial<VerifyWebhookOptions> = {}): Promise<WebhookMessage> {
	return verifyWebhook({ body: text, headers, secrets: secret, now: () => timestamp * 1_000, ...changes });
}

async function refused(code: CallhookErrorCode, changes: Partial<VerifyWebhookOptions>): Promise<void> {
	await expect(verify(changes)).rejects.toMatchObject({ code });
}

/** The headers of a message whose signatures are right, whatever its id, timestamp and body. */
function signed(
	id: string,
	seconds: string,
	body: string | Uint8Array,
	keys: readonly SigningKey[] = [{ scheme: "v1", secret }],
): Record<string, string> {
	// The signer puts the timestamp into a template, so a string shows what a sloppy sender would sign.
	const timestampSeconds = seconds as unknown as number;
	const bytes = typeof body === "string" ? encode(body) : body;
	return createMessageSigner(keys).sign({ id, type: "a", timestampSeconds, body: bytes });
}

describe("verifyWebhook() - accepts", () => {
	test("the published test vector, and gives back id, timestamp and bytes", async () => {
		expect(await verify()).toEqual({ id: headers["webhook-id"], timestamp, body: encode(text) });
	});

	test.each([
		["a string body and plain headers", text, headers],
		["a byte body and a Headers object", encode(text), new Headers(headers)],
		["a Buffer from the middle of a larger one", Buffer.from(`xx${text}`).subarray(2), headers],
		["another view of the bytes", new DataView(encode(text).buffer) as never, headers],
		["a view with larger elements", new Uint16Array(encode(text).buffer) as never, headers],
		[
			"header names in any case",
			text,
			Object.fromEntries(Object.entries(headers).map(([k, v]) => [k.toUpperCase(), v])),
		],
		[
			"a header that node:http would give as an array of one",
			text,
			{ ...headers, "webhook-id": [headers["webhook-id"]] },
		],
	])("%s", async (_, body, given) => {
		expect((await verify({ body, headers: given })).body).toEqual(encode(text));
	});

	test("an empty body", async () => {
		expect((await verify({ body: "", headers: signed("a", String(timestamp), "") })).body).toHaveLength(0);
	});

	test.each([
		["between decoys and unknown versions", `${decoy} v2,${genuine.slice(3)} ${genuine} ${decoy}`],
		["before and behind fragments", `${decoy} v1,x ${genuine} v1,`],
		["behind any number of other versions", `${"v1a,AAAA ".repeat(500)}${genuine}`],
		["with blanks around it", ` ${genuine}  `],
	])("a genuine signature %s", async (_, list) => {
		await verify({ headers: { ...headers, "webhook-signature": list } });
	});

	test("any of several secrets, in any order, prefixed or not", async () => {
		const others = [generateSecret(), generateSecret()];
		await verify({ secrets: [...others, secret] });
		await verify({ secrets: [secret.slice("whsec_".length), ...others] });
		const keys = others.map((other): SigningKey => ({ scheme: "v1", secret: other }));
		const given = signed("msg_1", String(timestamp), text, keys);
		await verify({ secrets: others[1] as string, headers: given });
		await refused("ERR_CALLHOOK_SIGNATURE_MISMATCH", { headers: given });
	});

	test("ages up to the tolerance, exactly that included", async () => {
		for (const age of [-300, 0, 300, 300.999]) await verify({ now: () => (timestamp + age) * 1_000 });
		await verify({ toleranceSeconds: 0 });
		await verify({ toleranceSeconds: 3_600, now: () => (timestamp + 3_600) * 1_000 });
	});

	test("bytes as they were when it was called, if the caller reuses the buffer meanwhile", async () => {
		const body = encode(text);
		const verified = verify({ body });
		body.fill(0);
		expect((await verified).body).toEqual(encode(text));
	});
});

describe("verifyWebhook() - refuses with ERR_CALLHOOK_SIGNATURE_HEADER", () => {
	const code = "ERR_CALLHOOK_SIGNATURE_HEADER";

	describe.each(["webhook-id", "webhook-timestamp", "webhook-signature"] as const)("%s", (name) => {
		const value = headers[name];
		const { [name]: _, ...rest } = headers;
		test.each([
			["missing", rest],
			["missing from a Headers object", new Headers(rest)],
			["undefined", { ...headers, [name]: undefined }],
			["empty", { ...headers, [name]: "" }],
			["repeated as an array", { ...headers, [name]: [value, value] }],
			["an empty array", { ...headers, [name]: [] }],
			["repeated in another case", { ...headers, [name.toUpperCase()]: value }],
			["repeated in a Headers object", new Headers([...Object.entries(headers), [name, value]])],
			["joined as node:http does", { ...headers, [name]: `${value}, ${value}` }],
		])("%s", async (_case, given) => {
			await refused(code, { headers: given });
			await expect(verify({ headers: given })).rejects.toMatchObject({ details: { header: name } });
		});
	});

	test.each(["a.b", "a, b", "a b", " a", "a\n", "a\u0000", "a\u007f", "ä", "a".repeat(257)])(
		"id %j",
		async (id) => {
			await refused(code, { headers: signed(id, String(timestamp), text) });
		},
	);

	test("an id that swallows the timestamp, though its bytes are those that were signed", async () => {
		const { "webhook-signature": signature } = signed("a", "1614265330", "1614265331.{}") as typeof headers;
		const shifted = {
			"webhook-id": "a.1614265330",
			"webhook-timestamp": "1614265331",
			"webhook-signature": signature,
		};
		await refused(code, { headers: shifted, body: "{}" });
	});

	test("not an id of 256 characters", async () => {
		const id = "!~,-/a_Z".repeat(32);
		expect((await verify({ headers: signed(id, String(timestamp), text) })).id).toBe(id);
	});
});

describe("verifyWebhook() - refuses", () => {
	test.each([
		"hello",
		"123abc",
		" 123",
		"123.9",
		"+123",
		"-123",
		"1e9",
		"0x10",
		"1614265330 ",
		"1614265330.0",
		"١٢٣",
		"1614265330000",
		"9".repeat(40),
	])("timestamp %j, even when signed", async (seconds) => {
		await refused("ERR_CALLHOOK_SIGNATURE_TIMESTAMP", { headers: signed("a", seconds, text) });
	});

	test("what is older than the tolerance", async () => {
		await refused("ERR_CALLHOOK_SIGNATURE_EXPIRED", { now: () => (timestamp + 301) * 1_000 });
		await refused("ERR_CALLHOOK_SIGNATURE_EXPIRED", {
			toleranceSeconds: 0,
			now: () => (timestamp + 1) * 1_000,
		});
	});

	test("what is dated further ahead than the tolerance", async () => {
		await refused("ERR_CALLHOOK_SIGNATURE_NOT_YET_VALID", { now: () => (timestamp - 301) * 1_000 });
		await refused("ERR_CALLHOOK_SIGNATURE_NOT_YET_VALID", { now: () => timestamp * 1_000 - 300_001 });
	});

	test("everything while the clock is broken", async () => {
		await refused("ERR_CALLHOOK_SIGNATURE_EXPIRED", { now: () => Number.NaN });
	});

	test.each([
		["a decoy", decoy],
		["nothing behind the version", "v1,"],
		["no version", genuine.slice(3)],
		["the first 8 characters", genuine.slice(0, 8)],
		["another version", `v2${genuine.slice(2)}`],
		["the version in capitals", `V1${genuine.slice(2)}`],
		["no padding", genuine.slice(0, -1)],
		["double padding", `${genuine}=`],
		["another spelling of the same bytes", genuine.replace("E=", "F=")],
		["the URL alphabet", genuine.replaceAll("+", "-").replaceAll("/", "_")],
		["hexadecimal", `v1,${Buffer.from(genuine.slice(3), "base64").toString("hex")}`],
		["a semicolon list", `${decoy};${genuine}`],
		["more than 32 forgeries before it", `${`${decoy} `.repeat(32)}${genuine}`],
	])("a signature that is %s", async (_, signature) => {
		await refused("ERR_CALLHOOK_SIGNATURE_MISMATCH", {
			headers: { ...headers, "webhook-signature": signature },
		});
	});

	test("one byte for another, also where both decode to the same text", async () => {
		const body = Uint8Array.of(0x22, 0xff, 0x22);
		const given = signed("a", String(timestamp), body);
		expect((await verify({ headers: given, body })).body).toEqual(body);
		const other = Uint8Array.of(0x22, 0xfe, 0x22);
		await refused("ERR_CALLHOOK_SIGNATURE_MISMATCH", { headers: given, body: other });
	});

	test("a body that went through a JSON parser", async () => {
		await refused("ERR_CALLHOOK_INVALID_BODY", { body: JSON.parse(text) });
		await refused("ERR_CALLHOOK_INVALID_BODY", { body: undefined as unknown as string });
		await refused("ERR_CALLHOOK_SIGNATURE_MISMATCH", { body: JSON.stringify(JSON.parse(text)) });
	});
});

describe("verifyWebhook() - options", () => {
	test.each([[[]], [""], [["whsec_"]], [[secret, "whsec_AAAA"]], [undefined], [[undefined]]])(
		"refuses the secrets %j",
		async (secrets) => {
			await refused("ERR_CALLHOOK_INVALID_SECRET", { secrets: secrets as string[] });
		},
	);

	test.each([
		["a negative tolerance", { toleranceSeconds: -1 }],
		["a tolerance of NaN", { toleranceSeconds: Number.NaN }],
		["a tolerance without end", { toleranceSeconds: Number.POSITIVE_INFINITY }],
		["a tolerance in a string", { toleranceSeconds: "300" }],
		["a clock that is no function", { now: 0 }],
		["no headers", { headers: undefined }],
		["an unknown option", { tolerance: 300 }],
	])("refuses %s", async (_, changes) => {
		await refused("ERR_CALLHOOK_INVALID_OPTION", changes as unknown as Partial<VerifyWebhookOptions>);
	});

	test("are checked by createVerifier() before any message comes", () => {
		expect(() => createVerifier({ secrets: [] })).toThrow(
			expect.objectContaining({ code: "ERR_CALLHOOK_INVALID_SECRET" }),
		);
	});
});

describe("verifyWebhook() - properties", () => {
	const character = fc.nat(0x24f).map((code) => String.fromCharCode(code));

	beforeEach(() => void vi.useFakeTimers({ toFake: ["Date"], now: timestamp * 1_000 }));
	afterEach(() => void vi.useRealTimers());

	test("npm standardwebhooks accepts what we sign, and we accept what it signs", async () => {
		const oracle = new Webhook(secret);
		await fc.assert(
			fc.asyncProperty(fc.json(), fc.stringMatching(/^[A-Za-z0-9_-]{1,40}$/), async (body, id) => {
				const given = { "webhook-id": id, "webhook-timestamp": String(timestamp) };
				expect(oracle.verify(body, signed(id, String(timestamp), body))).toEqual(JSON.parse(body));
				const theirs = { ...given, "webhook-signature": oracle.sign(id, new Date(timestamp * 1_000), body) };
				expect((await verifyWebhook({ body, headers: theirs, secrets: secret })).body).toEqual(encode(body));
			}),
		);
	});

	test("any bytes pass with their own signature, and none with another's", async () => {
		await fc.assert(
			fc.asyncProperty(
				fc.uint8Array({ maxLength: 300 }),
				fc.uint8Array({ maxLength: 300 }),
				async (body, other) => {
					const given = signed("a", String(timestamp), body);
					expect((await verify({ body, headers: given })).body).toEqual(body);
					if (Buffer.compare(body, other) === 0) return;
					await refused("ERR_CALLHOOK_SIGNATURE_MISMATCH", { body: other, headers: given });
				},
			),
		);
	});

	test("a change of any one character of a header is refused with a signature code", async () => {
		const name = fc.constantFrom("webhook-id", "webhook-timestamp", "webhook-signature");
		await fc.assert(
			fc.asyncProperty(name, fc.nat(), character, async (key, at, other) => {
				const value = headers[key];
				const index = at % value.length;
				const changed = value.slice(0, index) + other + value.slice(index + 1);
				fc.pre(changed !== value);
				await expect(verify({ headers: { ...headers, [key]: changed } })).rejects.toMatchObject({
					code: expect.stringMatching(/^ERR_CALLHOOK_SIGNATURE_/),
				});
			}),
			{ numRuns: 500 },
		);
	});

	test("arbitrary headers are refused with a signature code and nothing else", async () => {
		const value = fc.oneof(fc.string({ unit: character }), fc.constant(undefined), fc.array(fc.string()));
		const given = fc.record({ "webhook-id": value, "webhook-timestamp": value, "webhook-signature": value });
		await fc.assert(
			fc.asyncProperty(given, async (arbitrary) => {
				await expect(verify({ headers: arbitrary })).rejects.toMatchObject({
					code: expect.stringMatching(/^ERR_CALLHOOK_SIGNATURE_/),
				});
			}),
		);
	});
});
