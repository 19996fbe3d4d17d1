import type { MatchingType } from "../event/index.ts";
import { createId } from "../internal/id.ts";
import { isoTime } from "../internal/iso-time.ts";
import { checkNumber, checkOptions, invalidOption } from "../internal/options.ts";
import { readPage } from "../internal/page.ts";
import type { DisabledReason, EndpointInfo, OutboxDoor } from "../outbox/index.ts";
import type { AttemptRecord, Page, PageRequest } from "../outbox/ports.ts";
import { checkSecret, generateSecret, type SignatureScheme } from "../signature/index.ts";
import {
	type ActiveEndpoint,
	activate,
	openSecrets,
	sealSettings,
	showEndpoint,
	withoutUndefined,
} from "./active-endpoint.ts";
import type { AddressGuard } from "./address-guard.ts";
import type {
	Endpoint,
	EndpointChanges,
	EndpointFields,
	EndpointInput,
	EndpointSecrets,
	KeptKey,
} from "./endpoint.ts";
import { type EndpointDirectory, readDocument, unknownEndpoint } from "./endpoint-directory.ts";
import { healthy } from "./endpoint-health.ts";
import {
	invalidEndpoint,
	isScheme,
	type NamedFunctions,
	readEndpointInput,
	readEndpointSettings,
} from "./endpoint-schema.ts";
import type { SecretBox } from "./secret-box.ts";
import type { VerificationResult } from "./verification.ts";
import type { Where, WhereOf } from "./where-type.ts";

/** Which endpoints to list. */
export interface EndpointQuery extends PageRequest {
	readonly tenant?: string | undefined;
}

/** How a secret is replaced. */
export interface RotateOptions {
	/** How long the one before signs too, in milliseconds; 0 revokes all before at once. At most 100 years. Default 86,400,000: a day. */
	readonly overlapMs?: number | undefined;
	/** The new secret. Default: one that is made. */
	readonly secret?: string | undefined;
	/** The new scheme, as to move from `v1` to `v1a`. Default: the one it has. */
	readonly signature?: SignatureScheme | undefined;
}

/** A content filter for the events that a pattern matches. */
type WhereIn<Events, Pattern extends string> = [MatchingType<Events, Pattern>] extends [never]
	? Where
	: WhereOf<Events[MatchingType<Events, Pattern>], MatchingType<Events, Pattern>>;

/** What a trial request came to. */
export interface PingResult {
	readonly endpoint: Endpoint;
	readonly attempt: AttemptRecord;
}

/**
 * The endpoints of a bridge, kept in the store. A change counts in this process at once and in others within a second. Each
 * call but `create`, `get`, `list` and `delete` throws ERR_CALLHOOK_UNKNOWN_ENDPOINT for an id that there is not, and each that takes
 * an id ERR_CALLHOOK_INVALID_OPTION for one that is no text.
 */
export interface Endpoints<Events> {
	/**
	 * Registers an endpoint; with `verify`, it also asks it to verify itself. Throws ERR_CALLHOOK_INVALID_ENDPOINT with one
	 * issue per field, and ERR_CALLHOOK_URL_REFUSED when the address guard refuses its URL.
	 */
	create<const Pattern extends string>(
		input: EndpointInput<WhereIn<Events, Pattern>> & { readonly events: readonly Pattern[] },
	): Promise<Endpoint & { readonly secret: string }>;
	get(id: string): Promise<Endpoint | undefined>;
	/** Oldest first. */
	list(query?: EndpointQuery): Promise<Page<Endpoint>>;
	/**
	 * Changes the fields that are given. Deliveries that wait go to the new URL; with `verify`, a new URL has to verify
	 * itself, and is asked to. Throws as `create` does.
	 */
	update(id: string, changes: EndpointChanges<WhereIn<Events, "**">>): Promise<Endpoint>;
	/** Whether there was one. Deliveries it still has are cancelled. */
	delete(id: string): Promise<boolean>;
	/** It gets events again: those from now on. For the others there is `deliveries.redeliver`. */
	enable(id: string): Promise<Endpoint>;
	/** It gets no more events, and the deliveries it still has are cancelled. */
	disable(id: string): Promise<Endpoint>;
	/** Its secrets, of which nothing else tells. */
	getSecrets(id: string): Promise<EndpointSecrets>;
	/**
	 * Replaces its secret; for a while the one before signs too. Throws ERR_CALLHOOK_INVALID_SECRET, ERR_CALLHOOK_INVALID_OPTION
	 * and, where the one before cannot be decrypted and is to sign, ERR_CALLHOOK_SECRET_KEY.
	 */
	rotateSecret(id: string, options?: RotateOptions): Promise<EndpointSecrets>;
	/** Sends a signed event of the type `webhook.ping`, also to one that is disabled, and tells what came of it. */
	ping(id: string): Promise<AttemptRecord>;
	/** Asks it again to verify itself. Throws ERR_CALLHOOK_INVALID_OPTION for one that has no `verify`. */
	verify(id: string): Promise<PingResult>;
}

export interface EndpointsParts {
	readonly outbox: OutboxDoor;
	readonly guard: AddressGuard;
	readonly directory: EndpointDirectory;
	readonly box: SecretBox;
	readonly named: NamedFunctions;
	readonly group: string;
	ping(endpoint: ActiveEndpoint): Promise<AttemptRecord>;
	/** Asks an endpoint to verify itself. */
	verify(endpoint: ActiveEndpoint): Promise<VerificationResult>;
}

const dayMs = 86_400_000;
/** A hundred years: the end of the time of a secret is shown as a date, which JavaScript has no later ones of than 275760. */
const maxOverlapMs = 36_525 * dayMs;
/** As many as a header should name. */
const maxKeys = 10;

export function createEndpoints(parts: EndpointsParts): Endpoints<Record<string, unknown>> {
	const { outbox, guard, directory, box, named } = parts;
	const { store, clock } = outbox;
	const show = (endpoint: ActiveEndpoint): Endpoint => showEndpoint(endpoint, clock.now());

	function tell(
		name: "created" | "updated" | "deleted" | "rotated" | "enabled" | "verified",
		endpoint: ActiveEndpoint,
	): void {
		outbox.send(`endpoint:${name}`, () => describeEndpoint(endpoint));
	}

	async function find(id: string): Promise<ActiveEndpoint> {
		checkId(id);
		return directory.edit(id, () => undefined);
	}

	async function verify(endpoint: ActiveEndpoint): Promise<PingResult> {
		if (endpoint.fault !== undefined) throw endpoint.fault;
		const { attempt, isVerified, rateLimit } = await parts.verify(endpoint);
		if (!isVerified) return { endpoint: show(endpoint), attempt };
		let isProved = false;
		const verified = await directory.edit(endpoint.document.id, (document) => {
			// What it has been changed to meanwhile has proved nothing.
			isProved = needsSameProof(document.settings, endpoint.settings);
			if (!isProved) return undefined;
			const settings = rateLimit === undefined ? document.settings : { ...document.settings, rateLimit };
			return { ...document, isVerified, settings };
		});
		if (isProved) tell("verified", verified);
		return { endpoint: show(verified), attempt };
	}

	return {
		async create(input) {
			const { settings, signature, secret = generateSecret(signature) } = readEndpointInput(input, named);
			await checkUrl(guard, settings.url);
			const id = createId("ep");
			const now = isoTime(clock.now());
			const endpoint = await directory.add({
				...{ id, createdAt: now, updatedAt: now },
				...sealSettings(id, settings, box),
				keys: [{ scheme: signature, secret: box.seal(secret, id) }],
			});
			tell("created", endpoint);
			const shown = settings.verify === undefined ? show(endpoint) : (await verify(endpoint)).endpoint;
			return { ...shown, secret };
		},
		async get(id) {
			checkId(id);
			const record = await store.endpoints.get(id);
			if (record === undefined) return undefined;
			return show(activate(readDocument(record), record.revision, box, directory.get(id)?.health));
		},
		async list(query = {}) {
			const page = readPage(query, ["tenant"]);
			const { tenant } = query;
			if (tenant !== undefined && typeof tenant !== "string")
				throw invalidOption("tenant", "a string", tenant);
			const { items, cursor } = await store.endpoints.list({ ...page, tenant });
			const endpoints = items.map((record) =>
				show(activate(readDocument(record), record.revision, box, directory.get(record.id)?.health)),
			);
			return cursor === undefined ? { items: endpoints } : { items: endpoints, cursor };
		},
		async update(id, changes) {
			const { settings: before, fault } = await find(id);
			// What cannot be decrypted would be lost.
			if (fault !== undefined) throw fault;
			const { url } = readEndpointSettings(mergeChanges(before, changes), named);
			if (url !== before.url) await checkUrl(guard, url);
			let hasMoved = false;
			let hasProof = false;
			const endpoint = await directory.edit(id, (document) => {
				const { settings, fault: now } = activate(document, 0, box, undefined);
				if (now !== undefined) throw now;
				const changed = readEndpointSettings(mergeChanges(settings, changes), named);
				hasMoved = changed.url !== settings.url;
				hasProof = needsSameProof(changed, settings);
				return {
					...document,
					...sealSettings(id, changed, box),
					isVerified: hasProof ? document.isVerified : undefined,
					// How the old place did says nothing of the new one.
					health: hasMoved ? undefined : document.health,
					updatedAt: isoTime(clock.now()),
				};
			});
			if (hasMoved) directory.setHealth(id, healthy);
			tell("updated", endpoint);
			const isAsked = !hasProof && endpoint.state === "unverified";
			return isAsked ? (await verify(endpoint)).endpoint : show(directory.get(id) ?? endpoint);
		},
		async delete(id) {
			checkId(id);
			const endpoint = directory.get(id) ?? (await find(id).catch(() => undefined));
			const existed = await directory.delete(id);
			if (existed && endpoint !== undefined) tell("deleted", endpoint);
			return existed;
		},
		async enable(id) {
			checkId(id);
			let isNew = false;
			const endpoint = await directory.edit(id, (document) => {
				isNew = document.disabled !== undefined;
				return {
					...{ ...document, disabled: undefined, health: undefined },
					updatedAt: isNew ? isoTime(clock.now()) : document.updatedAt,
				};
			});
			directory.setHealth(id, healthy);
			if (isNew) tell("enabled", endpoint);
			return show(directory.get(id) ?? endpoint);
		},
		async disable(id) {
			checkId(id);
			return show(await disableEndpoint(id, "manual", parts));
		},
		async getSecrets(id) {
			checkId(id);
			const record = await store.endpoints.get(id);
			if (record === undefined) throw unknownEndpoint(id);
			return openSecrets(readDocument(record), box, clock.now());
		},
		async rotateSecret(id, options = {}) {
			checkId(id);
			checkOptions("rotateSecret", options, ["overlapMs", "secret", "signature"]);
			const { overlapMs = dayMs } = options;
			checkNumber("overlapMs", overlapMs, { min: 0, max: maxOverlapMs, integer: false });
			if (options.signature !== undefined && !isScheme(options.signature))
				throw invalidOption("signature", "v1, v1a, github or stripe", options.signature);
			const nowMs = clock.now();
			const endpoint = await directory.edit(id, (document) => {
				const [current, ...previous] = document.keys as [KeptKey, ...KeptKey[]];
				const { signature = current.scheme, secret = generateSecret(signature) } = options;
				checkSecret(signature, secret);
				const ended = { ...current, expiresAtMs: nowMs + overlapMs };
				// To revoke at once is to revoke all that came before.
				const earlier = overlapMs === 0 ? [] : [ended, ...previous];
				const holding = earlier.filter(({ expiresAtMs = 0 }) => nowMs < expiresAtMs);
				// One that cannot be decrypted would keep the new one from being used.
				for (const key of holding) box.open(key.secret, id);
				const keys = [{ scheme: signature, secret: box.seal(secret, id) }, ...holding].slice(0, maxKeys);
				return { ...document, keys, updatedAt: isoTime(nowMs) };
			});
			tell("rotated", endpoint);
			return openSecrets(endpoint.document, box, nowMs);
		},
		ping: async (id) => parts.ping(await find(id)),
		async verify(id) {
			const endpoint = await find(id);
			if (endpoint.settings.verify === undefined) {
				throw invalidOption("verify", "challenge or cloudevents, set by create or update", undefined);
			}
			return verify(endpoint);
		},
	};
}

/** Ids come from requests, where a query can make an object of one: libsql ends the process by such a parameter. */
function checkId(id: unknown): void {
	if (typeof id !== "string") throw invalidOption("id", "a string", id);
}

/** Makes an endpoint get no more events, and cancels what waits for it. */
export async function disableEndpoint(
	id: string,
	reason: DisabledReason,
	{ outbox, directory, group }: Pick<EndpointsParts, "outbox" | "directory" | "group">,
): Promise<ActiveEndpoint> {
	const at = isoTime(outbox.clock.now());
	let isNew = false;
	const endpoint = await directory.edit(id, (document) => {
		isNew = document.disabled === undefined;
		return isNew ? { ...document, disabled: { reason, at }, updatedAt: at } : undefined;
	});
	// What is in flight ends by itself: cancelled now, its attempt could not be written down.
	for (const state of ["pending", "waiting"] as const)
		await outbox.store.cancel({ group, target: id, state });
	if (isNew) outbox.send("endpoint:disabled", () => ({ ...describeEndpoint(endpoint), reason }));
	return endpoint;
}

export function describeEndpoint({ document: { id, settings } }: ActiveEndpoint): EndpointInfo {
	return { endpointId: id, url: settings.url, tenant: settings.tenant };
}

/** Whether who has proved that it wants the webhooks of one wants those of the other. */
function needsSameProof(
	a: Pick<EndpointFields, "url" | "verify">,
	b: Pick<EndpointFields, "url" | "verify">,
): boolean {
	return a.url === b.url && a.verify === b.verify;
}

function mergeChanges(settings: object, changes: unknown): object {
	if (typeof changes !== "object" || changes === null) throw invalidOption("changes", "an object", changes);
	// What is undefined was not given: a `tenant` must not go because a request named none.
	const merged = Object.entries({ ...settings, ...withoutUndefined(changes) });
	return Object.fromEntries(merged.filter(([, value]) => value !== null && value !== undefined));
}

async function checkUrl(guard: AddressGuard, url: string): Promise<void> {
	try {
		await guard.check(url);
	} catch (error) {
		// Not a verdict of the guard but of DNS: most often a misspelt host.
		const { code, syscall } = error as NodeJS.ErrnoException;
		if (syscall === undefined && code !== "ENOTFOUND") throw error;
		throw invalidEndpoint([{ path: "url", message: `its host cannot be resolved (${code})` }]);
	}
}
