import type { LookupAddress } from "node:dns";
import { lookup as systemLookup } from "node:dns/promises";
import { isIP } from "node:net";
import { CallhookError } from "../errors.ts";
import { checkFunction, checkOptions, invalidOption } from "../internal/options.ts";
import {
	type AddressClass,
	classifyAddress,
	type IpRange,
	isInRange,
	parseAddress,
	parseRange,
} from "./address-classes.ts";

/** An address that a host name resolves to. */
export interface ResolvedAddress {
	readonly address: string;
	readonly family: 4 | 6;
}

/** Options of {@link createAddressGuard}. */
export interface AddressGuardOptions {
	/**
	 * Addresses that may be called although they are not public, each as an address or a CIDR range, on any port or
	 * on one: `"10.0.0.0/8"`, `"10.0.0.0/8:8443"`, `"192.168.1.7:8443"`, `"fd00::/8"`, `"[fd00::/8]:8443"`.
	 *
	 * An entry permits its addresses and nothing else: a URL on `http:` stays refused unless `allowHttp`.
	 *
	 * @defaultValue none
	 */
	readonly allow?: readonly string[] | undefined;
	/**
	 * Permits `http:` beside `https:`.
	 *
	 * @defaultValue `false`
	 */
	readonly allowHttp?: boolean | undefined;
	/**
	 * Resolves a host name to every address it has. A rejection passes through as it is.
	 *
	 * @defaultValue `dns.promises.lookup`, all answers in the resolver's order
	 */
	readonly lookup?: ((hostname: string) => Promise<readonly ResolvedAddress[]>) | undefined;
}

/** Decides which URLs may be called, so that nobody can aim a webhook at the network it is sent from. */
export interface AddressGuard {
	/**
	 * Resolves when the URL may be called at this moment, and rejects otherwise. It opens no connection.
	 *
	 * A name can resolve to other addresses a moment later, so this is for an early answer, at registration;
	 * deliveries are judged again as they connect.
	 *
	 * @throws `ERR_CALLHOOK_URL_REFUSED`: final. The message may be shown to the author of the URL, it says nothing
	 * about resolved addresses; `details.reason` does and is for operators.
	 * @throws The error of `lookup` as it is, or an `Error` with the code `ENOTFOUND` for a name without addresses:
	 * neither is a refusal, both may be retried.
	 */
	check(url: string | URL): Promise<void>;
	/** @internal Applies every rule that needs no DNS, and throws at once where one is broken. */
	inspect(url: string | URL): InspectedHost;
}

/** @internal The host of a URL that has passed every rule except those about resolved addresses. */
export interface InspectedHost {
	/** The addresses behind the host; rejects when any of them may not be called. Literals stand for themselves. */
	resolve(): Promise<readonly [ResolvedAddress, ...ResolvedAddress[]]>;
	/** Throws unless the address, reached through this host and port, may be called. */
	vet(address: string): void;
}

type RefusalReason =
	| "invalid-url"
	| "scheme"
	| "credentials"
	| "port"
	| "localhost"
	| Exclude<AddressClass, "public">;

/**
 * Creates an {@link AddressGuard}.
 *
 * A URL may be called when it is on `https:`, has no user name or password, has no port on the Fetch bad-port
 * list, and when every address of its host is public or matches an `allow` entry; one bad address refuses all.
 * `localhost` and the names under it mean this machine, whatever a resolver says: they need an `allow` entry for
 * every address they resolve to, so without `allow` they are refused unresolved.
 *
 * @throws `ERR_CALLHOOK_INVALID_OPTION`
 *
 * @example
 * ```ts
 * const guard = createAddressGuard({ allow: ["10.20.0.0/16:8443"] });
 * await guard.check("https://hooks.example.com/orders");
 * ```
 */
export function createAddressGuard(options: AddressGuardOptions = {}): AddressGuard {
	return createGuard(options, false);
}

/**
 * @internal The guard of connections that are made directly, or by a proxy: that resolves names by itself, so they are not
 * resolved here, and those under `localhost`, which would mean the proxy's machine, are refused.
 */
export function createGuard(options: AddressGuardOptions, isProxied: boolean): AddressGuard {
	checkOptions("options", options, ["allow", "allowHttp", "lookup"]);
	checkFunction("lookup", options.lookup);
	const { allow = [], allowHttp = false } = options;
	const lookup: (hostname: string) => Promise<readonly { address: string }[]> = options.lookup ?? lookupAll;
	if (typeof allowHttp !== "boolean") throw invalidOption("allowHttp", "true or false", allowHttp);
	if (!Array.isArray(allow)) throw invalidOption("allow", "an array of strings", allow);
	const allowed = allow.map(parseAllowEntry);

	const isAllowed = (literal: string, port: number): boolean => {
		const address = parseAddress(literal);
		return (
			address !== undefined &&
			allowed.some((entry) => (entry.port ?? port) === port && isInRange(address, entry.range))
		);
	};

	const inspect = (url: string | URL): InspectedHost => {
		// Only the parsed host is judged: the URL parser turns `0x7f.1`, `2130706433` and `①②⑦.1` into 127.0.0.1.
		const text = String(url);
		if (!URL.canParse(text)) throw refusal("", "invalid-url");
		const { protocol, username, password, hostname, port: portText } = new URL(text);
		if (protocol !== "https:" && !(allowHttp && protocol === "http:")) throw refusal(hostname, "scheme");
		if (username !== "" || password !== "") throw refusal(hostname, "credentials");
		const port = portText === "" ? defaultPorts[protocol] : Number(portText);
		if (badPorts.has(port)) throw refusal(hostname, "port");
		const isLocalName = /(?:^|\.)localhost\.?$/.test(hostname);
		if (isLocalName && (isProxied || allowed.length === 0)) throw refusal(hostname, "localhost");

		const vet = (address: string): void => {
			if (isAllowed(address, port)) return;
			const found = isLocalName ? "localhost" : classifyAddress(address);
			if (found !== "public") throw refusal(hostname, found);
		};
		const literal = hostname.replace(/^\[|\]$/g, "");
		const isLiteral = isIP(literal) !== 0;
		if (isLiteral) vet(literal);

		const resolve: InspectedHost["resolve"] = async () => {
			if (isLiteral) return [withFamily(literal)];
			// Copied, so that what was vetted is what gets connected to, whoever else holds the answers. The family is
			// read off the address: a wrong one would make the socket fail.
			const answers = (await lookup(hostname)).map(({ address }) => withFamily(address));
			for (const { address } of answers) vet(address);
			const [first, ...others] = answers;
			if (first !== undefined) return [first, ...others];
			throw Object.assign(new Error(`No address found for "${hostname}"`), { code: "ENOTFOUND", hostname });
		};
		return { resolve, vet };
	};

	return {
		check: async (url) => {
			const host = inspect(url);
			if (!isProxied) await host.resolve();
		},
		inspect,
	};
}

const defaultPorts = { "https:": 443, "http:": 80 } as const;

/** Ports whose protocols could take an HTTP request for their own: https://fetch.spec.whatwg.org/#port-blocking */
const badPorts: ReadonlySet<number> = new Set([
	0, 1, 7, 9, 11, 13, 15, 17, 19, 20, 21, 22, 23, 25, 37, 42, 43, 53, 69, 77, 79, 87, 95, 101, 102, 103, 104,
	109, 110, 111, 113, 115, 117, 119, 123, 135, 137, 139, 143, 161, 179, 389, 427, 465, 512, 513, 514, 515,
	526, 530, 531, 532, 540, 548, 554, 556, 563, 587, 601, 636, 989, 990, 993, 995, 1719, 1720, 1723, 2049,
	3659, 4045, 4190, 5060, 5061, 6000, 6566, 6665, 6666, 6667, 6668, 6669, 6679, 6697, 10080,
]);

/** What the author of a URL may learn; all that depends on an address falls under one sentence. */
const explanations: { readonly [Reason in RefusalReason]?: string } = {
	"invalid-url": "it is not a valid URL",
	scheme: "its scheme is not permitted, use https",
	credentials: "it contains a user name or a password",
	port: "its port is not permitted",
};

function refusal(host: string, reason: RefusalReason): CallhookError<"ERR_CALLHOOK_URL_REFUSED"> {
	const explanation = explanations[reason] ?? `its host "${host}" is not permitted`;
	return new CallhookError("ERR_CALLHOOK_URL_REFUSED", `The URL may not be called: ${explanation}`, {
		host,
		reason,
	});
}

interface AllowEntry {
	readonly range: IpRange;
	/** `undefined` for every port. */
	readonly port: number | undefined;
}

/** `[…]`, a range or an IPv4 address, then a port. A bare IPv6 address takes none: `fd00::1:443` is an address. */
const allowSyntax = /^(?:\[(.+)\]|([^/]+\/\d+)|([^:/]+))(?::(\d{1,5}))?$/;

function parseAllowEntry(entry: unknown, index: number): AllowEntry {
	const option = `allow[${index}]`;
	const text = typeof entry === "string" ? entry : "";
	const parts = isIP(text) === 0 ? allowSyntax.exec(text) : [text, text];
	const [, bracketed, cidr, plain, portText] = parts ?? [];
	const range = parseRange(bracketed ?? cidr ?? plain ?? "");
	if (range === undefined) {
		throw invalidOption(
			option,
			'like "10.0.0.0/8", "10.0.0.0/8:443", "[fd00::/8]:443" or one address, not a host name',
			entry,
		);
	}
	const port = portText === undefined ? undefined : Number(portText);
	if (port !== undefined && (port > 65_535 || badPorts.has(port))) {
		throw invalidOption(option, "on a port from 1 to 65535 that is not on the Fetch bad-port list", entry);
	}
	return { range, port };
}

function withFamily(address: string): ResolvedAddress {
	return { address, family: address.includes(":") ? 6 : 4 };
}

function lookupAll(hostname: string): Promise<readonly LookupAddress[]> {
	return systemLookup(hostname, { all: true, order: "verbatim" });
}
