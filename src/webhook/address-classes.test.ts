import { isIP } from "node:net";
import fc from "fast-check";
import ipaddr from "ipaddr.js";
import { describe, expect, it } from "vitest";
import { ipv6Carrying, refusedIpv4 } from "../../test/support/ipv4-carriers.ts";
import { type AddressClass, classifyAddress, parseRange } from "./address-classes.ts";

const ones = "ffff:ffff:ffff:ffff:ffff:ffff";

/** Class, first and last address of each special range. */
const special: readonly (readonly [AddressClass, string, string])[] = [
	["unspecified", "0.0.0.0", "0.255.255.255"],
	["private", "10.0.0.0", "10.255.255.255"],
	["carrier-nat", "100.64.0.0", "100.127.255.255"],
	["loopback", "127.0.0.0", "127.255.255.255"],
	["cloud-platform", "168.63.129.16", "168.63.129.16"],
	["link-local", "169.254.0.0", "169.254.255.255"],
	["private", "172.16.0.0", "172.31.255.255"],
	["reserved", "192.0.0.0", "192.0.0.255"],
	["documentation", "192.0.2.0", "192.0.2.255"],
	["reserved", "192.31.196.0", "192.31.196.255"],
	["reserved", "192.52.193.0", "192.52.193.255"],
	["reserved", "192.88.99.0", "192.88.99.255"],
	["private", "192.168.0.0", "192.168.255.255"],
	["reserved", "192.175.48.0", "192.175.48.255"],
	["benchmarking", "198.18.0.0", "198.19.255.255"],
	["documentation", "198.51.100.0", "198.51.100.255"],
	["documentation", "203.0.113.0", "203.0.113.255"],
	["multicast", "224.0.0.0", "239.255.255.255"],
	["reserved", "240.0.0.0", "255.255.255.255"],
	["unspecified", "::", "::"],
	["loopback", "::1", "::1"],
	["ipv4-in-ipv6", "::2", "::ffff:ffff"],
	["ipv4-in-ipv6", "::ffff:0:0", "::ffff:ffff:ffff"],
	["ipv4-in-ipv6", "::ffff:0:0:0", "::ffff:0:ffff:ffff"],
	["reserved", "0:0:0:1::", "0:0:0:1::1"],
	["ipv4-in-ipv6", "64:ff9b::", "64:ff9b::ffff:ffff"],
	["ipv4-in-ipv6", "64:ff9b:1::", "64:ff9b:1:ffff:ffff:ffff:ffff:ffff"],
	["reserved", "100::", "100::ffff:ffff:ffff:ffff"],
	["reserved", "100:0:0:1::", "100:0:0:1:ffff:ffff:ffff:ffff"],
	["reserved", "200::", `1fff:ffff:${ones}`],
	["ipv4-in-ipv6", "2001::", `2001:0:${ones}`],
	["reserved", "2001:1::", `2001:1:${ones}`],
	["benchmarking", "2001:2::", "2001:2:0:ffff:ffff:ffff:ffff:ffff"],
	["reserved", "2001:2:1::", `2001:1ff:${ones}`],
	["documentation", "2001:db8::", `2001:db8:${ones}`],
	["ipv4-in-ipv6", "2002::", `2002:ffff:${ones}`],
	["reserved", "2620:4f:8000::", "2620:4f:8000:ffff:ffff:ffff:ffff:ffff"],
	["documentation", "3fff::", `3fff:fff:${ones}`],
	["reserved", "4000::", `5eff:ffff:${ones}`],
	["reserved", "5f00::", `fbff:ffff:${ones}`],
	["private", "fc00::", `fdff:ffff:${ones}`],
	["reserved", "fe00::", `fe7f:ffff:${ones}`],
	["link-local", "fe80::", `febf:ffff:${ones}`],
	["private", "fec0::", `feff:ffff:${ones}`],
	["multicast", "ff00::", `ffff:ffff:${ones}`],
];

/** The public address just before and just after each special range that has one. */
const neighbours = [
	...[
		"1.0.0.0",
		"9.255.255.255",
		"11.0.0.0",
		"100.63.255.255",
		"100.128.0.0",
		"126.255.255.255",
		"128.0.0.0",
	],
	...["168.63.129.15", "168.63.129.17", "169.253.255.255", "169.255.0.0", "172.15.255.255", "172.32.0.0"],
	...["191.255.255.255", "192.0.1.0", "192.0.1.255", "192.0.3.0", "192.31.195.255", "192.31.197.0"],
	...["192.52.192.255", "192.52.194.0", "192.88.98.255", "192.88.100.0", "192.167.255.255", "192.169.0.0"],
	...["192.175.47.255", "192.175.49.0", "198.17.255.255", "198.20.0.0", "198.51.99.255", "198.51.101.0"],
	...["203.0.112.255", "203.0.114.0", "223.255.255.255"],
	...["2000::", `2000:ffff:${ones}`, "2001:200::", `2001:db7:${ones}`, "2001:db9::", `2001:ffff:${ones}`],
	...["2003::", "2620:4f:7fff:ffff:ffff:ffff:ffff:ffff", "2620:4f:8001::", `3ffe:ffff:${ones}`],
	...["3fff:1000::", `3fff:ffff:${ones}`, "2606:4700:4700::1111"],
];

describe("classifyAddress()", () => {
	it.each(special)("is %s from %s to %s", (expected, first, last) => {
		expect([classifyAddress(first), classifyAddress(last)]).toEqual([expected, expected]);
	});

	it.each(neighbours)("is public: %s", (address) => {
		expect(classifyAddress(address)).toBe("public");
	});

	it.each([
		["2a00:1450::5efe:10.0.0.1", "ipv4-in-ipv6"],
		["2a00:1450::200:5efe:8.8.8.8", "ipv4-in-ipv6"],
		["2a00:1450::100:5efe:8.8.8.8", "ipv4-in-ipv6"],
		["2a00:1450::300:5efe:8.8.8.8", "ipv4-in-ipv6"],
		["fe80::5efe:192.168.0.1", "ipv4-in-ipv6"],
		["2a00:1450::400:5efe:8.8.8.8", "public"],
		["2a00:1450::5eff:808:808", "public"],
	])("takes %s for %s by its ISATAP interface id", (address, expected) => {
		expect(classifyAddress(address)).toBe(expected);
	});

	it.each(["fe80::1%eth0", "2606:4700::1%1", "::1%lo"])("refuses the zone id of %s", (address) => {
		expect(classifyAddress(address)).toBe("zone-id");
	});

	it.each([
		...[
			"",
			" ",
			"localhost",
			"127.1",
			"2130706433",
			"0x7f000001",
			"0177.0.0.1",
			"08.8.8.8",
			"8.8.8.8 ",
			"8.8.8.8\n",
		],
		...[
			"8.8.8.8.",
			"8.8.8.256",
			"8.8.8",
			"[2606:4700::1]",
			"2606:4700::1::2",
			"2606:4700::8.8.8.08",
			"::g",
			"①.1.1.1",
		],
	])("is malformed: %j", (literal) => {
		expect(classifyAddress(literal)).toBe("malformed");
	});

	it("agrees with ipaddr.js on IPv4, but for the platform endpoint of Azure", () => {
		fc.assert(
			fc.property(fc.ipV4(), (address) => {
				fc.pre(address !== "168.63.129.16");
				expect(classifyAddress(address) === "public").toBe(ipaddr.parse(address).range() === "unicast");
			}),
			{ numRuns: 2_000 },
		);
	});

	it("calls no IPv6 address public that ipaddr.js does not, and reads every spelling that sockets take", () => {
		const group = fc.constantFrom("0", "1", "ff9b", "ffff", "2001", "2606", "3fff", "fe80", "db8");
		const text = fc
			.array(fc.oneof(group, fc.constant("")), { minLength: 2, maxLength: 9 })
			.map((groups) => groups.join(":"));
		fc.assert(
			fc.property(
				fc.oneof(
					text,
					fc.ipV6(),
					fc
						.tuple(text, fc.ipV4())
						.map(String)
						.map((s) => s.replace(",", ":")),
				),
				(address) => {
					const found = classifyAddress(address);
					expect(found === "malformed").toBe(isIP(address) === 0);
					if (found === "public") expect(ipaddr.parse(address).range()).toBe("unicast");
				},
			),
			{ numRuns: 5_000 },
		);
	});

	it("calls no IPv6 form public that carries a refused IPv4 address", () => {
		fc.assert(
			fc.property(refusedIpv4.chain(ipv6Carrying), (address) => {
				expect(isIP(address), address).toBe(6);
				expect(classifyAddress(address), address).not.toBe("public");
				const parsed = new URL(`https://[${address}]`).hostname.slice(1, -1);
				expect(classifyAddress(parsed), address).not.toBe("public");
			}),
			{ numRuns: 3_000 },
		);
	});
});

describe("parseRange()", () => {
	it.each([
		["10.0.0.0/8", "10.0.0.0", 8],
		["0.0.0.0/0", "0.0.0.0", 0],
		["10.1.2.3", "10.1.2.3", 32],
		["fd00::/8", "fd00::", 8],
		["::1", "::1", 128],
	])("reads %s", (text, address, bits) => {
		const range = parseRange(text);
		expect([range?.[0].toString(), range?.[1]]).toEqual([address, bits]);
	});

	it.each([
		...["", "/", "10.0.0.0/", "10.0.0.0/33", "::/129", "10.0.0.0/8/8", "10/8", "010.0.0.0/8", "10.0.0.0/-1"],
		...[
			"10.0.0.0/ 8",
			"10.0.0.0/+8",
			"10.0.0.0/8x",
			"10.0.0.0/255.0.0.0",
			"fe80::1%eth0",
			"fe80::%1/10",
			"[::1]",
		],
	])("knows no range in %j", (text) => {
		expect(parseRange(text)).toBeUndefined();
	});
});
