import { lookup as systemLookup } from "node:dns/promises";
import { describe, expect, it, vi } from "vitest";
import { type CallhookError, isCallhookError } from "../errors.ts";
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

/** The words of a text, for tables too long for one string to a line. */
function words(text: string): string[] {
	return text.trim().split(/\s+/);
}

/** Every host, as somebody may write it in a URL, with its verdict. None of them needs a lookup. */
const literals: Readonly<Record<string, readonly string[]>> = {
	loopback: [
		...words(`
			127.0.0.1 127.0.0.0 127.255.255.255 127.1 127.0.1 127.0.0.1. 127.1. 2130706433 0x7f000001 0x7F.0.0.1
			0x7f.1 0x7f.0x0.0x0.0x1 0X7F000001 017700000001 0177.0.0.1 0177.0.0.01 00000177.1 0177.0x0.1
			127.0.0.0x1 127.000.000.001 127.0.0.01 2130706433. %31%32%37.0.0.1 127%2E0%2E0%2E1 １２７．０．０．１
			１２７.０.０.１ 127。0。0。1 127｡0｡0｡1 ①②⑦.⓪.⓪.① ①②⑦.① ②①③⓪⑦⓪⑥④③③ 𝟏𝟐𝟕.𝟎.𝟎.𝟏 𝟙𝟚𝟟.𝟘.𝟘.𝟙 ¹²⁷.⁰.⁰.¹ ₁₂₇.₀.₀.₁
			0ｘ7f.1 0x7f。1 12\u00ad7.0.0.1 127.0.0\u200b.1 [::1] [0:0:0:0:0:0:0:1]
			[0000:0000:0000:0000:0000:0000:0000:0001] [::0:1] [0::1] [::0.0.0.1]
		`),
		...["1\n27.0.0.1", "127.0.0.1\t"],
	],
	unspecified: words(`
		0 0.0 0.0.0.0 0x0 0x 00 0000.0 0.0.0.0. ０ ⓪ 0.1.2.3 0.255.255.255 [::] [0::] [::0] [0:0:0:0:0:0:0:0]
		[::0.0.0.0]
	`),
	private: words(`
		10.0.0.0 10.255.255.255 10.1 167772161 0xa.1 012.0.0.1 ①⓪.① 172.16.0.0 172.16.1 172.31.255.255
		0xac100001 192.168.0.0 192.168.255.255 192.168.1 3232235777 0300.0250.1 [fc00::] [fd00::1] [fdff::1]
		[fd00:ec2::254] [fd20:ce::254] [FD00::A] [fec0::1] [feff::1]
	`),
	"carrier-nat": words(`
		100.64.0.0 100.127.255.255 100.100.100.200 100.64.1 0x64400001
	`),
	"link-local": words(`
		169.254.0.0 169.254.169.254 169.254.169.253 169.254.170.2 169.254.255.255 2852039166 0xa9fea9fe
		0xA9.0xFE.0xA9.0xFE 0251.0376.0251.0376 169.254.43518 １６９.２５４.１６９.２５４ [fe80::] [fe80::1] [febf::1]
		[FE80::A9FE:A9FE]
	`),
	multicast: words(`
		224.0.0.1 239.255.255.255 224.1 [ff00::] [ff02::1] [ff0e::1]
	`),
	documentation: words(`
		192.0.2.0 192.0.2.255 198.51.100.0 198.51.100.255 203.0.113.0 203.0.113.255 [2001:db8::]
		[2001:db8:ffff::1] [3fff::] [3fff:fff::1]
	`),
	benchmarking: words(`
		198.18.0.0 198.19.255.255 [2001:2::1]
	`),
	"cloud-platform": words(`
		168.63.129.16 2822734096 0xa83f8110 168.63.33040 １６８.63.129.16
	`),
	reserved: words(`
		192.0.0.0 192.0.0.192 192.0.0.255 192.31.196.1 192.52.193.1 192.88.99.1 192.175.48.1 240.0.0.0
		255.255.255.255 4294967295 0xffffffff 037777777777 [100::1] [100:0:0:1::1] [2001:1::1]
		[2001:4:112::1] [2001:10::1] [2001:20::1] [2001:1ff::1] [2620:4f:8000::1] [200::1] [1fff::1]
		[4000::1] [5f00::1] [8000::1] [e000::1] [fe00::1]
	`),
	"ipv4-in-ipv6": words(`
		[::ffff:127.0.0.1] [::ffff:7f00:1] [::FFFF:7F00:0001] [0:0:0:0:0:ffff:127.0.0.1] [::ffff:0.0.0.0]
		[::ffff:10.0.0.1] [::ffff:169.254.169.254] [::ffff:a9fe:a9fe] [::ffff:8.8.8.8] [::ffff:0:127.0.0.1]
		[::127.0.0.1] [::7f00:1] [0:0:0:0:0:0:127.0.0.1] [::10.0.0.1] [::a9fe:a9fe] [::8.8.8.8]
		[64:ff9b::127.0.0.1] [64:ff9b::7f00:1] [64:ff9b::8.8.8.8] [0064:ff9b::a00:1] [64:ff9b:1::10.0.0.1]
		[2002:7f00:1::] [2002:a9fe:a9fe::1] [2002:808:808::1] [2001:0:7f00:1::] [2001::1]
		[2001:0:4136:e378:8000:63bf:80ff:fffe] [2a00:1450::5efe:127.0.0.1] [2a00:1450::200:5efe:10.0.0.1]
		[::5efe:7f00:1] [fe80::5efe:192.168.0.1]
	`),
	"invalid-url": [
		...words(`
			256.1.1.1 1.2.3.4.5 4294967296 0x100000000 127.0.0.256 08.8.8.8 [::1 ::1 [::1]] [127.0.0.1] [::1].
			[fe80::1%25eth0] [fe80::1%eth0] [fe80::1%1] [::ffff:127.1] [::ffff:0x7f.1] [1::2::3]
			[1:2:3:4:5:6:7:8:9] [::12345] [::g] a%00b a<b a^b a|b host:65536 host:http host:-1
		`),
		...["", " ", "exa mple"],
	],
	localhost: words(`
		localhost LOCALHOST LocalHost. localhost. app.localhost a.b.localhost a.localhost. ｌｏｃａｌｈｏｓｔ
		loc\u00adalhost %6cocalhost ⓛocalhost localhost。 app。localhost .localhost
	`),
	passes: words(`
		8.8.8.8 1.1.1.1 8.8.8.8. 134744072 0x08080808 010.8.8.8 0x8.8.2056 ８.８.８.８ ⑧.⑧.⑧.⑧ 9.255.255.255
		11.0.0.0 100.63.255.255 100.128.0.0 126.255.255.255 128.0.0.0 168.63.129.15 168.63.129.17
		169.253.255.255 169.255.0.0 172.15.255.255 172.32.0.0 192.167.255.255 192.169.0.0 198.17.255.255
		198.20.0.0 223.255.255.255 1.0.0.0 [2000::] [2606:4700:4700::1111] [2606:4700:4700:0:0:0:0:1111]
		[2606:4700::8.8.8.8] [2001:200::] [2001:db7::1] [2001:db9::1] [2003::1] [2620:4f:8001::]
		[3fff:1000::] [2a00:1450:4001::200e]
	`),
};
const rows = Object.entries(literals).flatMap(([expected, hosts]) =>
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
			'Option "allow[0]" must be like "10.0.0.0/8", "10.0.0.0/8:443", "[fd00::/8]:443" or one address, but got "10/8"',
		);
		expect(() => createAddressGuard({ allow: ["10.0.0.1:22"] })).toThrow(
			'Option "allow[0]" must be on a port from 1 to 65535 that is not on the Fetch bad-port list, but got "10.0.0.1:22"',
		);
	});
});
