import { isIP } from "node:net";
import ipaddr from "ipaddr.js";

type IpAddress = ipaddr.IPv4 | ipaddr.IPv6;
export type IpRange = readonly [IpAddress, number];

/**
 * The ranges that are not ordinary public hosts, each under its class; the first match counts.
 *
 * Sources: https://www.iana.org/assignments/iana-ipv4-special-registry and …/iana-ipv6-special-registry. The list
 * is our own because `ipaddr.js` 2.5 takes `::7f00:1`, `4000::1` and 168.63.129.16 for ordinary hosts.
 */
const specialRanges = {
	unspecified: ["0.0.0.0/8", "::/128"],
	loopback: ["127.0.0.0/8", "::1/128"],
	private: ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7", "fec0::/10"],
	"carrier-nat": ["100.64.0.0/10"],
	"link-local": ["169.254.0.0/16", "fe80::/10"],
	multicast: ["224.0.0.0/4", "ff00::/8"],
	documentation: ["192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24", "2001:db8::/32", "3fff::/20"],
	benchmarking: ["198.18.0.0/15", "2001:2::/48"],
	// Azure's platform endpoint: it looks public and answers from inside every virtual machine.
	"cloud-platform": ["168.63.129.16/32"],
	// Compatible, mapped, translated (SIIT), NAT64 well known and local, Teredo, 6to4. Refused whole, whatever IPv4
	// address they carry: a NAT64 prefix chosen by a network operator cannot be recognised, so none is unwrapped.
	"ipv4-in-ipv6": [
		"::/96",
		"::ffff:0:0/96",
		"::ffff:0:0:0/96",
		"64:ff9b::/96",
		"64:ff9b:1::/48",
		"2001::/32",
		"2002::/16",
	],
	// Protocol assignments, AS112 and AMT and 6to4 relays: special purpose, even where globally reachable.
	reserved: [
		"192.0.0.0/24",
		"192.31.196.0/24",
		"192.52.193.0/24",
		"192.88.99.0/24",
		"192.175.48.0/24",
		"240.0.0.0/4",
		"2001::/23",
		"2620:4f:8000::/48",
	],
} as const;

/** What an address is: `public`, or the reason why it is not. */
export type AddressClass = "public" | "malformed" | "zone-id" | keyof typeof specialRanges;

const rangesByClass: Record<string, [IpAddress, number][]> = Object.fromEntries(
	Object.entries(specialRanges).map(([name, ranges]) => [
		name,
		ranges.map((range) => ipaddr.parseCIDR(range)),
	]),
);

/** The part of IPv6 from which global addresses are assigned; everything outside is special or not assigned. */
const globalUnicast = ipaddr.IPv6.parseCIDR("2000::/3");

/**
 * The class of an IP literal; only `public` may be called without an `allow` entry.
 *
 * A literal is what `net.isIP` takes for one, without brackets. Other spellings (`127.1`, `0x7f000001`) are
 * `malformed`: sockets would look them up as names.
 */
export function classifyAddress(literal: string): AddressClass {
	const address = parseAddress(literal);
	if (address === undefined) return literal.includes("%") ? "zone-id" : "malformed";
	if (isIsatap(address)) return "ipv4-in-ipv6";
	const otherwise = address.kind() === "ipv4" || address.match(globalUnicast) ? "public" : "reserved";
	return ipaddr.subnetMatch(address, rangesByClass, otherwise) as AddressClass;
}

/** An IP literal in strict spelling, without brackets and zone id; `undefined` for anything else. */
export function parseAddress(literal: string): IpAddress | undefined {
	// `net.isIP` first: `ipaddr.js` also reads short, octal and hexadecimal IPv4, which sockets take for names.
	return isIP(literal) === 0 || literal.includes("%") ? undefined : ipaddr.parse(literal);
}

/** A range in CIDR notation, or the range of one bare address; `undefined` for anything else. */
export function parseRange(text: string): IpRange | undefined {
	const [literal = ""] = text.split("/", 1);
	const address = parseAddress(literal);
	if (address === undefined) return undefined;
	if (literal === text) return [address, address.kind() === "ipv4" ? 32 : 128];
	return ipaddr.isValidCIDR(text) ? ipaddr.parseCIDR(text) : undefined;
}

/** Whether the range holds the address. The IPv4 address inside a mapped one does not count. */
export function isInRange(address: IpAddress, range: IpRange): boolean {
	return address.kind() === range[0].kind() && address.match(range[0], range[1]);
}

/** ISATAP (RFC 5214) carries IPv4 under any prefix: interface id `0:5efe:a.b.c.d`, its `u` and `g` bits free. */
function isIsatap(address: IpAddress): boolean {
	if (!("parts" in address)) return false;
	const [, , , , high = 0, low] = address.parts;
	return (high & 0xfcff) === 0 && low === 0x5efe;
}
