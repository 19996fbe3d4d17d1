import fc from "fast-check";
import { classifyAddress } from "../../src/webhook/address-classes.ts";

type Octets = readonly number[];

/** An IPv4 address that may not be called, any of them, those of real services often. */
export const refusedIpv4: fc.Arbitrary<Octets> = fc
	.tuple(...Array.from({ length: 4 }, () => fc.integer({ min: 0, max: 255 })))
	.chain((octets) =>
		fc.constantFrom<Octets>(
			octets,
			[127, ...octets.slice(1)],
			[10, ...octets.slice(1)],
			[192, 168, ...octets.slice(2)],
			[172, 16 + ((octets[1] ?? 0) % 16), ...octets.slice(2)],
			[100, 64 + ((octets[1] ?? 0) % 64), ...octets.slice(2)],
			[169, 254, 169, 254],
			[168, 63, 129, 16],
			[0, 0, 0, 0],
		),
	)
	.filter((octets) => classifyAddress(octets.join(".")) !== "public");

/** Every known form in which an IPv6 address carries an IPv4 one. */
const carriers: readonly ((v4: string, complement: string, prefix: string, rest: string) => string)[] = [
	(v4) => `::${v4}`,
	(v4) => `::ffff:${v4}`,
	(v4) => `::FFFF:${v4}`,
	(v4) => `0:0:0:0:0:ffff:${v4}`,
	(v4) => `::ffff:0:${v4}`,
	(v4) => `64:ff9b::${v4}`,
	(v4, _complement, _prefix, rest) => `64:ff9b:1:${rest}:0:${v4}`,
	(v4, _complement, _prefix, rest) => `2002:${v4}:0:${rest}:0:1`,
	(v4, _complement, _prefix, rest) => `2001:0:${v4}:0:0:${rest}`,
	(_v4, complement, _prefix, rest) => `2001:0:${rest}:0:0:${complement}`,
	(v4, _complement, prefix) => `${prefix}:0:5efe:${v4}`,
	(v4, _complement, prefix) => `${prefix}:200:5efe:${v4}`,
];

const group = fc.integer({ min: 0, max: 0xffff }).map((value) => value.toString(16));
const prefix = fc.tuple(group, group, group, group).map((groups) => groups.join(":"));
const rest = fc.tuple(group, group).map((groups) => groups.join(":"));

/** An IPv6 address that carries this IPv4 one, in hexadecimal or, where it stands last, dotted. */
export function ipv6Carrying(octets: Octets): fc.Arbitrary<string> {
	const complement = hexPair(octets.map((value) => value ^ 0xff));
	return fc
		.tuple(fc.constantFrom(...carriers), fc.boolean(), prefix, rest)
		.map(([carry, isDotted, network, tail]) => {
			const dotted = carry(octets.join("."), complement, network, tail);
			const isLast = dotted.endsWith(octets.join("."));
			return isDotted && isLast ? dotted : carry(hexPair(octets), complement, network, tail);
		});
}

function hexPair(octets: Octets): string {
	return [0, 2].map((at) => (((octets[at] ?? 0) << 8) | (octets[at + 1] ?? 0)).toString(16)).join(":");
}
