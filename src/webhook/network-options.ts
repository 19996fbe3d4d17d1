import { CallhookError } from "../errors.ts";
import { checkOptions } from "../internal/options.ts";
import { type AddressGuard, type AddressGuardOptions, createGuard } from "./address-guard.ts";
import type { EgressProxy } from "./proxy-connector.ts";

/** What may be called, and how it is reached. */
export interface NetworkOptions extends AddressGuardOptions {
	/**
	 * An HTTP proxy through which every connection goes, `http:` targets too, by CONNECT: `"http://proxy.example:3128"`,
	 * with `user:password@` where it wants them. They never appear in a message.
	 *
	 * **The proxy then has to filter addresses.** It resolves the names, so the guard still judges URLs and IP literals but
	 * no answer of DNS: give it the ranges that are not public to refuse. `lookup` is not used, and names under `localhost`
	 * are refused whatever `allow` says. A proxy that is away or refuses is retried and is no fault of the endpoint.
	 *
	 * @defaultValue none; variables such as `HTTPS_PROXY` have no effect
	 */
	readonly proxy?: string | undefined;
}

/** The network options, checked. */
export interface Network {
	readonly guard: AddressGuard;
	readonly proxy: EgressProxy | undefined;
}

/** Checks network options; throws ERR_CALLHOOK_INVALID_OPTION. */
export function readNetworkOptions(options: NetworkOptions = {}): Network {
	checkOptions("network", options, ["allow", "allowHttp", "lookup", "proxy"]);
	const { proxy: proxyUrl, ...guardOptions } = options;
	const proxy = proxyUrl === undefined ? undefined : readProxy(proxyUrl);
	return { guard: createGuard(guardOptions, proxy !== undefined), proxy };
}

function readProxy(text: unknown): EgressProxy {
	const url = typeof text === "string" && URL.canParse(text) ? new URL(text) : undefined;
	if (url === undefined || !isProxyUrl(url)) throw invalidProxy(text);
	const { protocol, hostname, port, username, password } = url;
	return {
		protocol: protocol as EgressProxy["protocol"],
		hostname: hostname.replace(/^\[|\]$/g, ""),
		port: port === "" ? (protocol === "https:" ? 443 : 80) : Number(port),
		authorization: username === "" && password === "" ? undefined : basic(url, text),
	};
}

function isProxyUrl({ protocol, pathname, search, hash }: URL): boolean {
	return (protocol === "http:" || protocol === "https:") && pathname === "/" && search === "" && hash === "";
}

function basic({ username, password }: URL, text: unknown): string {
	try {
		const credentials = `${decodeURIComponent(username)}:${decodeURIComponent(password)}`;
		return `Basic ${Buffer.from(credentials).toString("base64")}`;
	} catch {
		throw invalidProxy(text);
	}
}

/** Without the value, which may hold a password. */
function invalidProxy(value: unknown): CallhookError {
	const expected = 'an http or https URL without a path, like "http://proxy.example:3128"';
	const received = typeof value === "string" ? "another text" : `a value of type ${typeof value}`;
	return new CallhookError(
		"ERR_CALLHOOK_INVALID_OPTION",
		`Option "network.proxy" must be ${expected}, but got ${received}`,
		{ option: "network.proxy", expected, received },
	);
}
