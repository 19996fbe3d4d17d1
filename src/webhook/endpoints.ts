import { createPattern, matchAny } from "../event/index.ts";
import type { Clock } from "../internal/clock.ts";
import { createId } from "../internal/id.ts";
import { isoTime } from "../internal/iso-time.ts";
import { readPage } from "../internal/page.ts";
import type { OutboxStore, Page, PageRequest } from "../outbox/ports.ts";
import { createSigner, generateSecret, type Signer } from "../signature/index.ts";
import type { AddressGuard } from "./address-guard.ts";
import {
	type Endpoint,
	type EndpointDocument,
	type EndpointInput,
	invalidEndpoint,
	readEndpointInput,
	showEndpoint,
} from "./endpoint.ts";

/** The endpoints of a bridge; kept in the store. */
export interface Endpoints {
	/**
	 * Registers an endpoint. Throws ERR_CALLHOOK_INVALID_ENDPOINT with one issue per field, and
	 * ERR_CALLHOOK_URL_REFUSED when the address guard refuses its URL. The only call that shows the secret.
	 */
	create(input: EndpointInput): Promise<Endpoint & { readonly secret: string }>;
	get(id: string): Promise<Endpoint | undefined>;
	/** Oldest first. */
	list(page?: PageRequest): Promise<Page<Endpoint>>;
	/** Whether there was one. Deliveries it still has are cancelled. */
	delete(id: string): Promise<boolean>;
}

/** An endpoint ready to be used: its patterns read, its URL parsed and its key made. */
export interface ActiveEndpoint {
	readonly document: EndpointDocument;
	readonly origin: string;
	/** With the query. */
	readonly path: string;
	readonly signer: Signer;
	accepts(type: string): boolean;
}

/** The endpoints as the delivering side of the bridge sees them. */
export interface EndpointDirectory {
	readonly api: Endpoints;
	/** All endpoints, read from the store once and kept up to date by this process. */
	load(): Promise<ReadonlyMap<string, ActiveEndpoint>>;
	/** Those loaded so far: all, once `isLoaded`. */
	readonly loaded: ReadonlyMap<string, ActiveEndpoint>;
	readonly isLoaded: boolean;
}

export function createEndpointDirectory(
	{ endpoints: records }: OutboxStore,
	guard: AddressGuard,
	clock: Clock,
): EndpointDirectory {
	const loaded = new Map<string, ActiveEndpoint>();
	let loading: Promise<void> | undefined;
	let isLoaded = false;

	async function loadAll(): Promise<void> {
		let cursor: string | undefined;
		do {
			const page = await records.list({ limit: 1_000, cursor });
			for (const { id, document } of page.items) loaded.set(id, activate(readDocument(document)));
			cursor = page.cursor;
		} while (cursor !== undefined);
		isLoaded = true;
	}

	async function load(): Promise<ReadonlyMap<string, ActiveEndpoint>> {
		loading ??= loadAll();
		try {
			await loading;
		} catch (error) {
			loading = undefined;
			throw error;
		}
		return loaded;
	}

	const api: Endpoints = {
		async create(input) {
			const fields = readEndpointInput(input);
			await checkUrl(guard, fields.url);
			const document: EndpointDocument = {
				...fields,
				id: createId("ep"),
				secret: fields.secret ?? generateSecret(),
				createdAt: isoTime(clock.now()),
			};
			const active = activate(document);
			await load();
			await records.put({ id: document.id, document: JSON.stringify(document) });
			loaded.set(document.id, active);
			return document;
		},
		async get(id) {
			const record = await records.get(id);
			return record && showEndpoint(readDocument(record.document));
		},
		async list(page) {
			const { items, cursor } = await records.list(readPage(page));
			const endpoints = items.map(({ document }) => showEndpoint(readDocument(document)));
			return cursor === undefined ? { items: endpoints } : { items: endpoints, cursor };
		},
		async delete(id) {
			await load();
			const existed = await records.delete(id);
			loaded.delete(id);
			return existed;
		},
	};
	return {
		api,
		load,
		loaded,
		get isLoaded() {
			return isLoaded;
		},
	};
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

function readDocument(document: string): EndpointDocument {
	return JSON.parse(document) as EndpointDocument;
}

function activate(document: EndpointDocument): ActiveEndpoint {
	const { origin, pathname, search } = new URL(document.url);
	return {
		document,
		origin,
		path: `${pathname}${search}`,
		signer: createSigner(document.secret),
		accepts: matchAny(document.events.map((text) => createPattern(text, "endpoint"))),
	};
}
