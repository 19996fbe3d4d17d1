import { describe, expect, test, vi } from "vitest";
import { cert, key } from "../../test/support/certificate.ts";
import { optionOf, rejectionOf } from "../../test/support/thrown.ts";
import { createBus } from "../bus/index.ts";
import { type CallhookError, isCallhookError } from "../errors.ts";
import type { PageRequest } from "../outbox/ports.ts";
import { memoryStore } from "../stores/memory/index.ts";
import { fakeClock } from "../testing/index.ts";
import type { AddressGuardOptions } from "./address-guard.ts";
import { createWebhookBridge } from "./bridge.ts";
import type { BridgeOptions } from "./bridge-options.ts";
import type { EndpointInput } from "./endpoint.ts";

const secret = `whsec_${Buffer.alloc(24, "k").toString("base64")}`;
const input = { url: "https://hook.example/a?b=c", events: ["order.*"] };

function setup(network: AddressGuardOptions = {}, store = memoryStore(), options?: Partial<BridgeOptions>) {
	const lookup = vi.fn(async () => [{ address: "93.184.215.14", family: 4 as const }]);
	const clock = fakeClock({ now: new Date("2026-01-02T03:04:05.678Z") });
	const bus = createBus({ store, clock, outbox: { deliver: false } });
	const bridge = createWebhookBridge(bus, {
		...{ forward: ["**"], network: { lookup, ...network } },
		...options,
	});
	const create = (fields: unknown) => bridge.endpoints.create(fields as EndpointInput);
	return { api: bridge.endpoints, bridge, bus, create, store, lookup, clock };
}

/** What an endpoint is where nothing is said. */
const defaults = {
	...{ concurrency: 4, order: "none", format: "standard", signature: "v1", state: "enabled" },
	...{ createdAt: "2026-01-02T03:04:05.678Z", updatedAt: "2026-01-02T03:04:05.678Z" },
};

/** The paths of the faults that an ERR_CALLHOOK_INVALID_ENDPOINT names. */
function pathsOf(error: CallhookError): string[] {
	if (!isCallhookError(error, "ERR_CALLHOOK_INVALID_ENDPOINT"))
		throw new Error("unexpected", { cause: error });
	return error.details.issues.map(({ path }) => path);
}

describe("create()", () => {
	test("fills in what was left out", async () => {
		const { create } = setup();
		expect(await create(input)).toStrictEqual({
			...input,
			...defaults,
			id: expect.stringMatching(/^ep_[0-9a-f-]{36}$/),
			secret: expect.any(String),
		});
	});

	test("makes a secret of 32 random bytes, another one each time", async () => {
		const { create } = setup();
		const secrets = [(await create(input)).secret, (await create(input)).secret];
		for (const generated of secrets) {
			expect(generated).toMatch(/^whsec_[A-Za-z0-9+/]{43}=$/);
			expect(Buffer.from(generated.slice(6), "base64")).toHaveLength(32);
		}
		expect(secrets[0]).not.toBe(secrets[1]);
	});

	test("keeps every field that was given", async () => {
		const { api, create } = setup();
		const fields = { ...input, description: "orders", concurrency: 1_000, timeoutMs: 600_000 };
		const { id, secret: shown, ...rest } = await create({ ...fields, secret });
		expect(rest).toStrictEqual({ ...defaults, ...fields });
		expect(shown).toBe(secret);
		expect(await api.get(id)).toStrictEqual({ ...defaults, ...fields, id });
	});

	test("does not look at the input again", async () => {
		const { api, create } = setup();
		const events = ["order.*"];
		const { id } = await create({ ...input, events });
		events.push("**");
		expect((await api.get(id))?.events).toEqual(["order.*"]);
	});
});

/** Values that cannot work, by the path of the issue that each gets. */
const wrong: readonly (readonly [path: string, fields: readonly object[]])[] = [
	[
		"url",
		[
			undefined,
			null,
			"",
			5,
			"hook.example",
			"/hooks",
			"ftp://hook.example/",
			"https://",
			`https://a.example/${"x".repeat(2_048)}`,
		].map((url) => ({ url })),
	],
	["events", [undefined, null, [], "order.*", {}, Array(201).fill("a")].map((events) => ({ events }))],
	["events.1", ["", "order.", "order*", "a b", 5, null].map((pattern) => ({ events: ["order.*", pattern] }))],
	["tenant", ["", 5, "x".repeat(257), "a\0b", "\ud800", "a\udfffb"].map((tenant) => ({ tenant }))],
	["description", [null, 5, "x".repeat(1_001)].map((description) => ({ description }))],
	[
		"secret",
		[
			null,
			5,
			"",
			"whsec_",
			"whsec_not base64!",
			`whsec_${Buffer.alloc(23).toString("base64")}`,
			`whsec_${Buffer.alloc(65).toString("base64")}`,
		].map((value) => ({ secret: value })),
	],
	[
		"tls",
		[
			...[
				{ ca: "" },
				{ ca: "no PEM" },
				{ ca: key },
				{ cert },
				{ key },
				{ cert, key: "" },
				{ cert: "", key: "" },
			],
			...[
				{ cert: "no PEM", key },
				{ cert, key: "no PEM" },
			],
		].map((tls) => ({ tls })),
	],
	["concurrency", [null, "4", 0, -1, 1.5, 1_001, Number.NaN].map((concurrency) => ({ concurrency }))],
	[
		"timeoutMs",
		[null, "4", 0, -1, 600_001, Number.NaN, Number.POSITIVE_INFINITY].map((timeoutMs) => ({ timeoutMs })),
	],
];

describe("create() - refuses", () => {
	test.for(wrong)("a wrong %s", async ([path, cases], { expect }) => {
		expect.assertions(cases.length);
		const { create } = setup();
		for (const fields of cases) {
			expect(pathsOf(await rejectionOf(create({ ...input, ...fields }))), JSON.stringify(fields)).toEqual([
				path,
			]);
		}
	});

	test("all that is wrong at once, with an issue for each, and asks no resolver", async () => {
		const { create, lookup } = setup();
		const fields = { url: "x", events: [""], description: 1, secret: "x", concurrency: 0, timeoutMs: 0 };
		const error = await rejectionOf(create(fields));
		expect(pathsOf(error)).toEqual(["url", "events.0", "description", "concurrency", "timeoutMs", "secret"]);
		for (const path of pathsOf(error)) expect(error.message).toContain(`${path}: `);
		expect(lookup).not.toHaveBeenCalled();
	});

	test("a field it does not know", async () => {
		const { create } = setup();
		for (const field of ["id", "createdAt", "event", "state"]) {
			const error = await rejectionOf(create({ ...input, [field]: "x" }));
			expect(pathsOf(error)).toEqual([""]);
			expect(error.message).toContain(`"${field}"`);
		}
	});

	test("what is no object", async () => {
		const { create } = setup();
		for (const value of [undefined, null, "https://hook.example/", [], 5]) {
			expect(pathsOf(await rejectionOf(create(value)))).toEqual([""]);
		}
	});

	test("a URL that the guard refuses, without telling where it leads", async () => {
		const lookup = async () => [{ address: "10.1.2.3", family: 4 as const }];
		const { create } = setup({ lookup });
		for (const url of [
			"https://hook.example/",
			"https://127.0.0.1/",
			"http://hook.example/",
			"https://u:pw@a.example/",
		]) {
			const error = await rejectionOf(create({ ...input, url }));
			expect(error.code, url).toBe("ERR_CALLHOOK_URL_REFUSED");
			expect(error.message).not.toMatch(/10\.1\.2\.3|pw/);
		}
	});

	test("a host that cannot be resolved", async () => {
		const failures = {
			ENOTFOUND: { code: "ENOTFOUND", syscall: "getaddrinfo" },
			EAI_AGAIN: { code: "EAI_AGAIN", syscall: "getaddrinfo" },
		};
		for (const [code, properties] of Object.entries(failures)) {
			const lookup = () => Promise.reject(Object.assign(new Error(code), properties));
			const error = await rejectionOf(setup({ lookup }).create(input));
			expect(pathsOf(error)).toEqual(["url"]);
			expect(error.message).toContain(code);
		}
		const unknown = await rejectionOf(setup({ lookup: async () => [] }).create(input));
		expect(pathsOf(unknown)).toEqual(["url"]);
	});

	test("nothing for a fault of the lookup itself: that passes through", async () => {
		const fault = new TypeError("a bug in a lookup");
		const { create } = setup({ lookup: () => Promise.reject(fault) });
		await expect(create(input)).rejects.toBe(fault);
	});

	test("and keeps nothing of what it refused", async () => {
		const { api, create } = setup();
		await rejectionOf(create({ ...input, concurrency: 0 }));
		await rejectionOf(create({ ...input, url: "https://127.0.0.1/" }));
		expect(await api.list()).toEqual({ items: [] });
	});
});

describe("the secret", () => {
	test("is shown by create() and by nothing else", async () => {
		const { api, create } = setup();
		const endpoint = await create({ ...input, secret });
		expect(endpoint.secret).toBe(secret);
		const bare = secret.slice("whsec_".length);
		const shown = [await api.get(endpoint.id), await api.list(), await api.list({ limit: 1 })];
		expect(JSON.stringify(shown)).toContain(endpoint.id);
		expect(JSON.stringify(shown)).not.toMatch(/secret|whsec_|keys/);
		expect(JSON.stringify(shown)).not.toContain(bare);
	});

	test("is in no error, whether it is good or bad", async () => {
		const { create } = setup();
		const sensitive = ["whsec_c2VjcmV0", "hunter2hunter2", `${secret}!`, secret];
		for (const given of sensitive) {
			for (const fields of [{ concurrency: 0 }, { events: [given.slice(0, 5)], whatever: 1 }]) {
				const { message, details, cause, stack } = await rejectionOf(
					create({ ...input, secret: given, ...fields }),
				);
				expect(`${message}${stack}${JSON.stringify([details, cause])}`).not.toContain(given);
			}
		}
	});
});

describe("get(), list() and delete()", () => {
	test("get() knows what is there and nothing else", async () => {
		const { api, create } = setup();
		const { secret: _, ...endpoint } = await create(input);
		expect(await api.get(endpoint.id)).toStrictEqual(endpoint);
		expect(await api.get("ep_none")).toBeUndefined();
	});

	test("list() goes oldest first, page by page, until there is no cursor", async () => {
		const { api, create } = setup();
		const ids: string[] = [];
		for (let i = 0; i < 5; i++) ids.push((await create(input)).id);
		expect((await api.list()).items.map(({ id }) => id)).toEqual(ids);
		const pages: string[][] = [];
		let cursor: string | undefined;
		do {
			const page = await api.list({ limit: 2, cursor });
			pages.push(page.items.map(({ id }) => id));
			cursor = page.cursor;
		} while (cursor !== undefined);
		expect(pages).toEqual([ids.slice(0, 2), ids.slice(2, 4), ids.slice(4)]);
		expect(await api.list({ limit: 5 })).not.toHaveProperty("cursor");
	});

	test("list() shows 50 where no limit is given", async () => {
		const { api, create } = setup();
		for (let i = 0; i < 51; i++) await create(input);
		expect((await api.list()).items).toHaveLength(50);
	});

	test.for([
		["limit", [0, -1, 1_001, 1.5, "10", null, Number.NaN].map((limit) => ({ limit }))],
		["cursor", [5, null, {}].map((cursor) => ({ cursor }))],
		["list.state", [{ state: "dead" }]],
		["list", [null, 5, "cursor", []]],
	] as const)("list() refuses a wrong %s", async ([option, pages], { expect }) => {
		expect.assertions(pages.length);
		const { api } = setup();
		for (const page of pages) {
			expect(optionOf(await rejectionOf(api.list(page as PageRequest)))).toBe(option);
		}
	});

	test("delete() takes one away, and says whether there was one", async () => {
		const { api, create } = setup();
		const { id } = await create(input);
		const { id: other } = await create(input);
		expect(await api.delete(id)).toBe(true);
		expect(await api.delete(id)).toBe(false);
		expect(await api.get(id)).toBeUndefined();
		expect((await api.list()).items.map((endpoint) => endpoint.id)).toEqual([other]);
	});

	test("delete() changes nothing when the store fails", async () => {
		const { api, create, store } = setup();
		const { id } = await create(input);
		const failure = new Error("disk full");
		vi.spyOn(store.endpoints, "delete").mockRejectedValueOnce(failure);
		await expect(api.delete(id)).rejects.toBe(failure);
		expect((await api.list()).items.map((endpoint) => endpoint.id)).toEqual([id]);
	});

	test("create() changes nothing when the store fails", async () => {
		const { api, create, store } = setup();
		const failure = new Error("disk full");
		vi.spyOn(store.endpoints, "put").mockRejectedValueOnce(failure);
		await expect(create(input)).rejects.toBe(failure);
		expect(await api.list()).toEqual({ items: [] });
	});
});
