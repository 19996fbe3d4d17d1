import { CallhookError } from "../errors.ts";
import { createPattern, matchAny } from "../event/index.ts";
import { isoTime } from "../internal/iso-time.ts";
import { createMessageSigner, type MessageSigner, publicKeyOf } from "../signature/index.ts";
import { addHeaders, type CustomHeaders, maskHeaders } from "./custom-headers.ts";
import type {
	Endpoint,
	EndpointDocument,
	EndpointSecrets,
	EndpointSettings,
	KeptKey,
	SealedSettings,
} from "./endpoint.ts";
import { type EndpointHealth, healthy, isPaused } from "./endpoint-health.ts";
import type { SecretBox } from "./secret-box.ts";
import { compileWhere, type FilteredEvent } from "./where.ts";

/** An endpoint ready to be used: its patterns read, its URL parsed and its keys opened. */
export interface ActiveEndpoint {
	readonly document: EndpointDocument;
	readonly revision: number;
	readonly settings: EndpointSettings;
	readonly origin: string;
	/** With the query. */
	readonly path: string;
	readonly customHeaders: CustomHeaders | undefined;
	readonly state: Endpoint["state"];
	/** As this process knows it; written to the store a little later. */
	health: EndpointHealth;
	/** Why nothing can be sent: its secrets cannot be decrypted, or a newer version has written what it takes. */
	readonly fault: Error | undefined;
	/** Of a `v1a` key in use. */
	readonly publicKey: string | undefined;
	accepts(type: string): boolean;
	/** Whether its `where` lets an event through. */
	lets(event: () => FilteredEvent): boolean;
	/** Signs with all keys that hold at that time. */
	signerAt(nowMs: number): MessageSigner;
}

export function activate(
	document: EndpointDocument,
	revision: number,
	box: SecretBox,
	health: EndpointHealth | undefined,
): ActiveEndpoint {
	const { id, settings: open, keys, disabled } = document;
	const { origin, pathname, search } = new URL(open.url);
	let settings: EndpointSettings = open;
	let opened: readonly KeptKey[] = [];
	let fault: Error | undefined;
	let accepts: ActiveEndpoint["accepts"] = () => false;
	let lets: ActiveEndpoint["lets"] = () => true;
	try {
		accepts = matchAny(open.events.map((text) => createPattern(text, "endpoint")));
		const where = open.where && compileWhere(open.where);
		if (where !== undefined) lets = (event) => where(event());
	} catch {
		fault = unreadable(id);
		lets = () => false;
	}
	try {
		settings = { ...open, ...openSealed(document, box) };
		opened = keys.map((key) => ({ ...key, secret: box.open(key.secret, id) }));
	} catch (error) {
		fault ??= error as Error;
	}
	const [current] = opened;
	let signer: MessageSigner | undefined;
	let signerUntilMs = Number.NEGATIVE_INFINITY;
	return {
		...{ document, revision, settings, origin, fault, accepts, lets, path: `${pathname}${search}` },
		customHeaders: settings.headers && addHeaders(undefined, settings.headers),
		publicKey: current?.scheme === "v1a" ? publicKeyOf(current.secret) : undefined,
		state: stateOf(document, disabled !== undefined),
		health: health ?? document.health ?? healthy,
		signerAt(nowMs) {
			if (signer === undefined || nowMs >= signerUntilMs) {
				const holding = opened.filter(({ expiresAtMs = Number.POSITIVE_INFINITY }) => nowMs < expiresAtMs);
				signer = createMessageSigner(holding);
				signerUntilMs = Math.min(...holding.map(({ expiresAtMs = Number.POSITIVE_INFINITY }) => expiresAtMs));
			}
			return signer;
		},
	};
}

/** What was thrown may quote the document. */
export function unreadable(id: string): CallhookError {
	const message = `What the store has of endpoint "${id}" cannot be read by this version`;
	return new CallhookError("ERR_CALLHOOK_INVALID_ENDPOINT", message, { issues: [{ path: "", message }] });
}

function stateOf(
	{ settings: { verify }, isVerified }: EndpointDocument,
	isDisabled: boolean,
): Endpoint["state"] {
	if (isDisabled) return "disabled";
	return verify !== undefined && isVerified !== true ? "unverified" : "enabled";
}

function openSealed({ id, sealed }: EndpointDocument, box: SecretBox): SealedSettings {
	return sealed === undefined ? {} : (JSON.parse(box.open(sealed, id)) as SealedSettings);
}

/** Whether events go to an endpoint as before: what is new is its health or its keys. */
export function hasSameRoutes(before: ActiveEndpoint, after: ActiveEndpoint): boolean {
	const { settings: old } = before.document;
	return before.state === after.state && JSON.stringify(old) === JSON.stringify(after.document.settings);
}

/** Takes the settings that may hold secrets apart from the others, and seals them. */
export function sealSettings(
	id: string,
	{ headers, tls, ...settings }: EndpointSettings,
	box: SecretBox,
): Pick<EndpointDocument, "settings" | "sealed"> {
	const isPlain = headers === undefined && tls === undefined;
	return { settings, sealed: isPlain ? undefined : box.seal(JSON.stringify({ headers, tls }), id) };
}

/** The document with all that is sealed under the first key; the same one if it is, or if it cannot be opened. */
export function sealAnew(document: EndpointDocument, box: SecretBox): EndpointDocument {
	const { id, keys, sealed } = document;
	const isCurrent = keys.every(({ secret }) => box.isCurrent(secret));
	if (isCurrent && (sealed === undefined || box.isCurrent(sealed))) return document;
	try {
		return {
			...document,
			keys: keys.map((key) => ({ ...key, secret: box.seal(box.open(key.secret, id), id) })),
			sealed: sealed === undefined ? undefined : box.seal(box.open(sealed, id), id),
		};
	} catch {
		return document;
	}
}

/** The endpoint without what only the store and the signer may see. */
export function showEndpoint(endpoint: ActiveEndpoint, nowMs: number): Endpoint {
	const { document, settings, health, state } = endpoint;
	const { id, createdAt, updatedAt, keys, disabled } = document;
	const { headers, tls, ...shown } = settings;
	const { failingSinceMs, pause } = health;
	const scheme = keys[0]?.scheme ?? "v1";
	return withoutUndefined({
		...shown,
		...{ id, signature: scheme, state, createdAt, updatedAt },
		publicKey: endpoint.publicKey,
		headers: headers && maskHeaders(headers),
		tls: tls && withoutUndefined({ ca: tls.ca, cert: tls.cert }),
		disabledReason: disabled?.reason,
		disabledAt: disabled?.at,
		failingSince: failingSinceMs === undefined ? undefined : isoTime(failingSinceMs),
		pausedUntil: pause !== undefined && isPaused(health, nowMs) ? isoTime(pause.untilMs) : undefined,
	});
}

/** Throws ERR_CALLHOOK_SECRET_KEY where they cannot be decrypted. */
export function openSecrets(document: EndpointDocument, box: SecretBox, nowMs: number): EndpointSecrets {
	const [current, ...previous] = document.keys.map((key) => ({
		...key,
		secret: box.open(key.secret, document.id),
	})) as [KeptKey, ...KeptKey[]];
	return withoutUndefined({
		signature: current.scheme,
		secret: current.secret,
		publicKey: current.scheme === "v1a" ? publicKeyOf(current.secret) : undefined,
		previous: previous
			.filter(({ expiresAtMs = 0 }) => nowMs < expiresAtMs)
			.map(({ scheme, secret, expiresAtMs = 0 }) => ({
				...{ signature: scheme, secret, expiresAt: isoTime(expiresAtMs) },
			})),
	});
}

/** An object as JSON would give it back. */
export function withoutUndefined<Value extends object>(value: Value): Value {
	return Object.fromEntries(Object.entries(value).filter(([, field]) => field !== undefined)) as Value;
}
