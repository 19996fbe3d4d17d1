import { lookup as systemLookup } from "node:dns/promises";
import fc from "fast-check";
import { describe, expect, it, vi } from "vitest";
import { literalHosts, words } from "../../test/support/hosts.ts";
import { ipv6Carrying, refusedIpv4 } from "../../test/support/ipv4-carriers.ts";
import { type CallhookError, isCallhookError } from "../errors.ts";
import { createDeferred } from "../internal/deferred.ts";
import { type AddressGuardOptions, createAddressGuard, type ResolvedAddress } from "./address-guard.ts";

// No test asks a real resolver.
vi.mock("node:dns/promises", () => ({ lookup: vi.fn() }));

/** Whom a URL's check may ask; a test that lists no answer for a name fails on it. */
function answering(answers: Readonly<Record<string, readonly string[]>>) {
	return vi.fn(async (hostname: string): Promise<readonly ResolvedAddress[]> => {
		const addresses = answers[hostname];
		if (addresses === undefined) throw new Error(`unexpected lookup of ${hostname}`);
		return addresses.map((address) => ({ address, family: address.includes(":") ? 6 : 4 }));
	});
}

/** "passes", or the reason of the refusal; any other error is the test's failure. */
async function verdict(url: string | URL, options: AddressGuardOptions = {}): Promise<string> {
	const error: unknown = await createAddressGuard({ lookup: answering({}), ...options })
		.check(url)
		.catch((caught: unknown) => caught);
	if (error === undefined) return "passes";
	if (isCallhookError(error, "ERR_CALLHOOK_URL_REFUSED")) return error.details.reason;
	throw error;
}

async function refusalOf(url: string, options: AddressGuardOptions): Promise<CallhookError> {
	const error: unknown = await createAddressGuard(options)
		.check(url)
		.catch((caught: unknown) => caught);
	if (isCallhookError(error)) return error;
	throw new Error("expected a refusal", { cause: error });
}

const rows = Object.entries(literalHosts).flatMap(([expected, hosts]) =>
	hosts.map((host) => [host, expected] as const),
);

describe("check() - hosts that need no lookup", () => {
	it("has a table worth its name", () => {
		expect(rows.length).toBeGreaterThan(250);
		expect(new Set(rows.map(([host]) => host)).size).toBe(rows.length);
	});

	it.each(rows)("%j: %s", async (host, expected) => {
		expect(await verdict(`https://${host}/`)).toBe(expected);
	});
});

describe("check() - names", () => {
	it.each<[string, readonly string[], string]>([
		["one public answer", ["93.184.215.14"], "passes"],
		["public answers of both families", ["2606:4700::1", "93.184.215.14"], "passes"],
		["a bad answer alone", ["127.0.0.1"], "loopback"],
		["a bad answer after good ones", ["93.184.215.14", "2606:4700::1", "10.0.0.1"], "private"],
		["a bad answer before a good one", ["169.254.169.254", "93.184.215.14"], "link-local"],
		["a mapped answer", ["::ffff:93.184.215.14"], "ipv4-in-ipv6"],
		["a NAT64 answer", ["64:ff9b::5db8:d70e"], "ipv4-in-ipv6"],
		["an answer with a zone id", ["2606:4700::1%eth0"], "zone-id"],
		["an answer in a spelling that is no literal", ["0x5db8d70e"], "malformed"],
		["an answer that is a name", ["localhost"], "malformed"],
		["an empty text for an answer", [""], "malformed"],
	])("%s", async (_title, addresses, expected) => {
		const lookup = answering({ "hook.example": addresses });
		expect(await verdict("https://hook.example/", { lookup })).toBe(expected);
	});

	it("looks the parsed name up, once", async () => {
		const lookup = answering({ "xn--bcher-kva.example.": ["93.184.215.14"] });
		await createAddressGuard({ lookup }).check("https://BÜCHER.Example./a?b#c");
		expect(lookup.mock.calls).toEqual([["xn--bcher-kva.example."]]);
	});

	it("takes a URL object, too", async () => {
		const lookup = answering({ "hook.example": ["10.0.0.1"] });
		expect(await verdict(new URL("https://hook.example/"), { lookup })).toBe("private");
	});

	it("passes a lookup error through as it is", async () => {
		const failure = Object.assign(new Error("queryA ETIMEOUT"), { code: "ETIMEOUT" });
		const guard = createAddressGuard({ lookup: () => Promise.reject(failure) });
		await expect(guard.check("https://hook.example/")).rejects.toBe(failure);
	});

	it("fails with ENOTFOUND, and refuses nothing, when a name has no addresses", async () => {
		const guard = createAddressGuard({ lookup: async () => [] });
		const error = await guard.check("https://hook.example/").catch((caught: unknown) => caught);
		expect(error).toMatchObject({ code: "ENOTFOUND", hostname: "hook.example" });
		expect(isCallhookError(error)).toBe(false);
	});

	it("judges every time anew", async () => {
		const addresses = ["93.184.215.14", "127.0.0.1"];
		const guard = createAddressGuard({
			lookup: async () => [{ address: addresses.shift() ?? "", family: 4 }],
		});
		await guard.check("https://hook.example/");
		await expect(guard.check("https://hook.example/")).rejects.toMatchObject({
			code: "ERR_CALLHOOK_URL_REFUSED",
			details: { host: "hook.example", reason: "loopback" },
		});
	});

	it("waits for a slow answer, and judges it", async () => {
		const answer = createDeferred<ResolvedAddress[]>();
		const slow = verdict("https://hook.example/", { lookup: () => answer.promise });
		answer.resolve([{ address: "10.0.0.1", family: 4 }]);
		expect(await slow).toBe("private");
	});

	it("lets no IPv6 form pass that carries a refused IPv4 address, in a URL or as an answer", async () => {
		await fc.assert(
			fc.asyncProperty(refusedIpv4.chain(ipv6Carrying), async (address) => {
				expect(await verdict(`https://[${address}]/`), address).not.toBe("passes");
				for (const answers of [[address], ["93.184.215.14", address], [address, "2606:4700::1"]]) {
					const lookup = answering({ "hook.example": answers });
					expect(await verdict("https://hook.example/", { lookup }), address).not.toBe("passes");
				}
				// An entry for the IPv4 address permits none of its forms either.
				const allow = ["0.0.0.0/0"];
				expect(await verdict(`https://[${address}]/`, { allow }), address).not.toBe("passes");
			}),
			{ numRuns: 1_000 },
		);
	});

	it("asks the system's resolver by default, for every answer in its own order", async () => {
		vi.mocked(systemLookup).mockImplementation(async () => [{ address: "10.0.0.1", family: 4 }] as never);
		expect(await verdict("https://hook.example/", { lookup: undefined })).toBe("private");
		expect(vi.mocked(systemLookup).mock.calls).toEqual([["hook.example", { all: true, order: "verbatim" }]]);
	});
});

describe("inspect()", () => {
	const inspect = (url: string, answers: ResolvedAddress[]) =>
		createAddressGuard({ allow: ["10.0.0.0/8:8443"], lookup: async () => answers }).inspect(url);

	it("resolves to copies of the answers, with the families that the addresses have", async () => {
		const answers: ResolvedAddress[] = [
			{ address: "2606:4700::1", family: 4 },
			{ address: "10.0.0.1", family: 6 },
		];
		const vetted = await inspect("https://hook.example:8443/", answers).resolve();
		answers.splice(0, 2, { address: "127.0.0.1", family: 4 });
		expect(vetted).toEqual([
			{ address: "2606:4700::1", family: 6 },
			{ address: "10.0.0.1", family: 4 },
		]);
	});

	it.each([
		["https://8.8.8.8/", { address: "8.8.8.8", family: 4 }],
		["https://[2606:4700::1]/", { address: "2606:4700::1", family: 6 }],
	])("resolves %s to itself", async (url, expected) => {
		expect(await inspect(url, []).resolve()).toEqual([expected]);
	});

	it("throws at once where no lookup is needed", () => {
		expect(() => inspect("https://127.0.0.1/", [])).toThrow("not permitted");
		expect(() => inspect("http://hook.example/", [])).toThrow("scheme");
	});

	it("vets a peer for the port of the URL, and names the host in the refusal", () => {
		const host = inspect("https://hook.example:8443/", []);
		host.vet("10.0.0.1");
		expect(() => host.vet("127.0.0.1")).toThrow(
			expect.objectContaining({ details: { host: "hook.example", reason: "loopback" } }),
		);
		expect(() => inspect("https://hook.example/", []).vet("10.0.0.1")).toThrow("not permitted");
	});
});

describe("check() - scheme, credentials and port", () => {
	it.each([
		["http://8.8.8.8/", "scheme"],
		["http://8.8.8.8:443/", "scheme"],
		["ftp://8.8.8.8/", "scheme"],
		["ws://8.8.8.8/", "scheme"],
		["wss://8.8.8.8/", "scheme"],
		["file:///etc/passwd", "scheme"],
		["file://8.8.8.8/etc/passwd", "scheme"],
		["data:text/plain,x", "scheme"],
		["javascript:alert(1)", "scheme"],
		["gopher://127.0.0.1/", "scheme"],
		["unix:/var/run/docker.sock", "scheme"],
		["HTTPS://8.8.8.8/", "passes"],
		["https:8.8.8.8", "passes"],
		["https:\\\\8.8.8.8\\x", "passes"],
		["https:/127.0.0.1/", "loopback"],
		["  https://8.8.8.8/  ", "passes"],
		["//8.8.8.8/", "invalid-url"],
		["8.8.8.8", "invalid-url"],
		["https://", "invalid-url"],
		["https://user@8.8.8.8/", "credentials"],
		["https://:secret@8.8.8.8/", "credentials"],
		["https://user:secret@8.8.8.8/", "credentials"],
		["https://8.8.8.8@127.0.0.1/", "credentials"],
		["https://@8.8.8.8/", "passes"],
		["https://8.8.8.8\\@127.0.0.1/", "passes"],
		["https://127.0.0.1\\@8.8.8.8/", "loopback"],
		["https://127.0.0.1#@8.8.8.8/", "loopback"],
		["https://127.0.0.1?@8.8.8.8/", "loopback"],
		["https://8.8.8.8:443/", "passes"],
		["https://8.8.8.8:8443/", "passes"],
		["https://8.8.8.8:65535/", "passes"],
		["https://8.8.8.8:0/", "port"],
		["https://8.8.8.8:00/", "port"],
		["https://8.8.8.8:22/", "port"],
		["https://8.8.8.8:0022/", "port"],
		["https://8.8.8.8:25/", "port"],
		["https://8.8.8.8:6000/", "port"],
		["https://8.8.8.8:6667/", "port"],
		["https://8.8.8.8:10080/", "port"],
	])("%s: %s", async (url, expected) => {
		expect(await verdict(url)).toBe(expected);
	});

	it.each([
		["http://8.8.8.8/", "passes"],
		["http://8.8.8.8:8080/", "passes"],
		["http://127.0.0.1/", "loopback"],
		["http://8.8.8.8:25/", "port"],
		["ws://8.8.8.8/", "scheme"],
	])("allowHttp: %s: %s", async (url, expected) => {
		expect(await verdict(url, { allowHttp: true })).toBe(expected);
	});

	it.each(["http://127.0.0.1:8080/", "http://127.0.0.1/"])(
		"an allow entry does not permit %s",
		async (url) => {
			expect(await verdict(url, { allow: ["127.0.0.0/8", "127.0.0.1:8080"] })).toBe("scheme");
		},
	);
});

describe("check() - allow", () => {
	it.each<[string, string, string]>([
		["10.0.0.0/8", "https://10.255.0.1/", "passes"],
		["10.0.0.0/8", "https://10.255.0.1:9999/", "passes"],
		["10.0.0.0/8", "https://11.0.0.1/", "passes"],
		["10.0.0.0/8", "https://127.0.0.1/", "loopback"],
		["10.0.0.0/8", "https://[::ffff:10.0.0.1]/", "ipv4-in-ipv6"],
		["10.0.0.0/8", "https://10.0.0.1:25/", "port"],
		["10.0.0.0/8:443", "https://10.0.0.1/", "passes"],
		["10.0.0.0/8:443", "https://10.0.0.1:8443/", "private"],
		["10.0.0.0/8:8443", "https://10.0.0.1:8443/", "passes"],
		["10.0.0.0/8:8443", "https://10.0.0.1:8442/", "private"],
		["10.0.0.0/8:8443", "https://10.0.0.1/", "private"],
		["10.0.0.1/8", "https://10.200.0.1/", "passes"],
		["10.0.0.1", "https://10.0.0.1:8443/", "passes"],
		["10.0.0.1", "https://10.0.0.2/", "private"],
		["10.0.0.1:8443", "https://10.0.0.1:8443/", "passes"],
		["10.0.0.1:8443", "https://10.0.0.1/", "private"],
		["fd00::/8", "https://[fd12::1]:8443/", "passes"],
		["fd00::/8", "https://[fc12::1]/", "private"],
		["fd00::/8:8443", "https://[fd12::1]:8443/", "passes"],
		["[fd00::/8]", "https://[fd12::1]/", "passes"],
		["[fd00::/8]:443", "https://[fd12::1]/", "passes"],
		["[fd00::/8]:443", "https://[fd12::1]:444/", "private"],
		["fd00::1", "https://[fd00::1]/", "passes"],
		["[fd00::1]:8443", "https://[fd00::1]:8443/", "passes"],
		["[fd00::1]:8443", "https://[fd00::1]/", "private"],
		["fd00::1:443", "https://[fd00::1:443]:9999/", "passes"],
		["fd00::1:443", "https://[fd00::1]/", "private"],
		["0.0.0.0/0", "https://169.254.169.254/", "passes"],
		["0.0.0.0/0", "https://[::1]/", "loopback"],
		["::/0", "https://[::1]/", "passes"],
		["127.0.0.1", "https://2130706433/", "passes"],
	])("%s: %s %s", async (entry, url, expected) => {
		expect(await verdict(url, { allow: [entry] })).toBe(expected);
	});

	it("permits a name only when every answer is public or allowed", async () => {
		const allow = ["10.0.0.0/8:443", "fd00::/8"];
		const lookup = answering({
			"mixed.example": ["10.0.0.1", "93.184.215.14", "fd00::1"],
			"bad.example": ["10.0.0.1", "192.168.0.1"],
			"zone.example": ["fd00::1%eth0"],
		});
		expect(await verdict("https://mixed.example/", { allow, lookup })).toBe("passes");
		expect(await verdict("https://mixed.example:444/", { allow, lookup })).toBe("private");
		expect(await verdict("https://bad.example/", { allow, lookup })).toBe("private");
		expect(await verdict("https://zone.example/", { allow, lookup })).toBe("zone-id");
	});

	it.each<[string, readonly string[], readonly string[], string]>([
		["without an allow list, unresolved", [], [], "localhost"],
		["when an entry holds its addresses", ["127.0.0.0/8", "::1"], ["::1", "127.0.0.1"], "passes"],
		["when an entry holds one of two addresses", ["127.0.0.0/8"], ["127.0.0.1", "::1"], "localhost"],
		["when the entry is for another port", ["127.0.0.0/8:8443"], ["127.0.0.1"], "localhost"],
		["when a resolver makes it public", ["127.0.0.0/8"], ["93.184.215.14"], "localhost"],
	])("localhost %s", async (_title, allow, addresses, expected) => {
		for (const host of ["localhost", "app.localhost."]) {
			const lookup = answering(allow.length === 0 ? {} : { [host]: addresses });
			expect(await verdict(`https://${host}/`, { allow, lookup })).toBe(expected);
		}
	});

	it("does not take other names for localhost", async () => {
		const names = ["notlocalhost", "localhost.example", "localhost.localdomain", "xlocalhost."];
		const lookup = answering(Object.fromEntries(names.map((name) => [name, ["93.184.215.14"]])));
		for (const name of names) expect(await verdict(`https://${name}/`, { lookup })).toBe("passes");
	});
});

describe("refusals", () => {
	it("tell operators the reason, and tenants nothing about the addresses behind a name", async () => {
		const lookup = answering({ "db.intern.example": ["10.11.12.13"], "dead.example": ["169.254.169.254"] });
		const error = await refusalOf("https://db.intern.example:8443/x?token=s3cret", { lookup });
		expect(error.details).toEqual({ host: "db.intern.example", reason: "private" });
		expect(error.message).toBe('The URL may not be called: its host "db.intern.example" is not permitted');
		const other = await refusalOf("https://dead.example/", { lookup });
		expect(other.message.replace("dead.", "db.intern.")).toBe(error.message);
		expect(error.cause).toBeUndefined();
	});

	it.each([
		["not a url with s3cret", "The URL may not be called: it is not a valid URL", ""],
		["http://8.8.8.8/", "The URL may not be called: its scheme is not permitted, use https", "8.8.8.8"],
		[
			"https://u:s3cret@a.example/",
			"The URL may not be called: it contains a user name or a password",
			"a.example",
		],
		["https://8.8.8.8:25/", "The URL may not be called: its port is not permitted", "8.8.8.8"],
	])("explain %s", async (url, message, host) => {
		const error = await refusalOf(url, {});
		expect(error.message).toBe(message);
		expect(error.details).toMatchObject({ host });
		expect(JSON.stringify([error.message, error.details])).not.toContain("s3cret");
	});
});

describe("createAddressGuard() - options", () => {
	it.each([
		...words(`
			nonsense 10.0.0.0/33 10/8 10.1 0x0a000001 012.0.0.0/8 10.0.0.0/255.0.0.0 10.0.0.0/8/8
			10.0.0.0-10.0.0.9 10.0.0.0/8: 10.0.0.0/8:https 10.0.0.0/8:-1 10.0.0.0/8:0 10.0.0.0/8:65536
			10.0.0.0/8:123456 10.0.0.0/8:22 10.0.0.1:6000 https://10.0.0.1 localhost localhost:443 *.example.com
			* :443 /8 [10.0.0.1 10.0.0.1]:1 fd00::/129 [fd00::]/8 [fd00::/8 fd00::/8] [] []:443
			1:2:3:4:5:6:7:8:443 fe80::1%eth0 fe80::%eth0/10 10.0.0.0/8,11.0.0.0/8
		`),
		...["", " ", "10.0.0.0/8 ", " 10.0.0.0/8", "10.0.0.1:4 43", "10.0.0.0/8\n"],
		...[null, undefined, 10, ["10.0.0.1"], {}],
	])("allow: [%j] cannot work", (entry) => {
		const create = () => createAddressGuard({ allow: ["192.168.0.0/16", entry as string] });
		expect(create).toThrow(
			expect.objectContaining({
				code: "ERR_CALLHOOK_INVALID_OPTION",
				details: expect.objectContaining({ option: "allow[1]" }),
			}),
		);
	});

	it.each<[string, unknown]>([
		["allow", { allow: "10.0.0.0/8" }],
		["allow", { allow: null }],
		["allowHttp", { allowHttp: "false" }],
		["allowHttp", { allowHttp: null }],
		["lookup", { lookup: "8.8.8.8" }],
		["options.allowHTTP", { allowHTTP: true }],
		["options", "10.0.0.0/8"],
	])("%s: %j cannot work", (option, options) => {
		expect(() => createAddressGuard(options as AddressGuardOptions)).toThrow(
			expect.objectContaining({
				code: "ERR_CALLHOOK_INVALID_OPTION",
				details: expect.objectContaining({ option }),
			}),
		);
	});

	it("says what is wrong with an entry", () => {
		expect(() => createAddressGuard({ allow: ["10/8"] })).toThrow(
			'Option "allow[0]" must be like "10.0.0.0/8", "10.0.0.0/8:443", "[fd00::/8]:443" or one address, not a host name, but got "10/8"',
		);
		expect(() => createAddressGuard({ allow: ["10.0.0.1:22"] })).toThrow(
			'Option "allow[0]" must be on a port from 1 to 65535 that is not on the Fetch bad-port list, but got "10.0.0.1:22"',
		);
	});
});
