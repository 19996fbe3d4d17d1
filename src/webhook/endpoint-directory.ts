import { CallhookError, isCallhookError } from "../errors.ts";
import { type Clock, unref } from "../internal/clock.ts";
import type { EndpointChange, EndpointRecord, EndpointRecords } from "../outbox/ports.ts";
import { type ActiveEndpoint, activate, hasSameRoutes, sealAnew, unreadable } from "./active-endpoint.ts";
import type { EndpointDocument } from "./endpoint.ts";
import { type EndpointHealth, isPaused, mergeHealth } from "./endpoint-health.ts";
import { createPauseWatch } from "./pause-watch.ts";
import type { SecretBox } from "./secret-box.ts";

/** The endpoints as this process knows them: read from the store, where other processes may change them. */
export interface EndpointDirectory {
	/** Whether what is known is not older than a second. */
	readonly isFresh: boolean;
	/** Reads what others have changed, unless it is fresh. */
	refresh(): Promise<void>;
	/** Reads it in any case. */
	reload(): Promise<void>;
	/** Reads it in a transaction of the caller, who may see less. */
	readIn(tx: unknown): Promise<void>;
	get(id: string): ActiveEndpoint | undefined;
	values(): Iterable<ActiveEndpoint>;
	/** Whether its deliveries have to wait for another process, since this one cannot make them. */
	isHeld(id: string): boolean;
	/** Those for which nothing is to be claimed now. */
	closed(): Iterable<string>;
	/** A new one. */
	add(document: EndpointDocument): Promise<ActiveEndpoint>;
	/**
	 * Changes one in the store, whatever others do at the same time; an `edit` may be asked again, and changes nothing with
	 * `undefined`. Throws ERR_CALLHOOK_UNKNOWN_ENDPOINT.
	 */
	edit(
		id: string,
		edit: (document: EndpointDocument) => EndpointDocument | undefined,
	): Promise<ActiveEndpoint>;
	delete(id: string): Promise<boolean>;
	/** Takes a new health over; the store gets it soon. */
	setHealth(id: string, health: EndpointHealth): void;
	/** Writes down what the store has not got. */
	stop(): Promise<void>;
}

export interface DirectoryOptions {
	readonly records: EndpointRecords;
	readonly clock: Clock;
	readonly box: SecretBox;
	/** What an endpoint needs and this process lacks, if anything. */
	lacks(settings: ActiveEndpoint["settings"]): string | undefined;
	/** An endpoint may get more or less than before: it was changed, paused, or its pause is over. */
	onChange(id: string): void;
	/** It may get other events than before. */
	onRoutes(): void;
	report(error: unknown, activity: string): void;
}

/** For so long what is known counts as fresh. */
export const freshMs = 1_000;
const pageSize = 500;
const saveAfterMs = 1_000;

export function createEndpointDirectory(options: DirectoryOptions): EndpointDirectory {
	const { records, clock, box, lacks, onChange, onRoutes, report } = options;
	const endpoints = new Map<string, ActiveEndpoint>();
	/** Deleted here, and perhaps still in what is being read. */
	const deleted = new Set<string>();
	/** Those whose deliveries wait for another process. */
	const held = new Set<string>();
	/** The ends of pauses, be they over. */
	const paused = new Map<string, number>();
	const pauses = createPauseWatch(clock, endPause);
	/** Whose health the store has not got, and whether something succeeded there since it last got it. */
	const unsaved = new Map<string, boolean>();
	/** What need not be reported with each change. */
	const reported = new Set<string>();
	/** Once each: where processes do not agree on the first key, they must not go on for ever. */
	const sealedAnew = new Set<string>();
	const toSeal: string[] = [];
	let revision = 0;
	let readAtMs = Number.NEGATIVE_INFINITY;
	let reading: Promise<void> | undefined;
	let queued: Promise<void> | undefined;
	let saving: Promise<void> | undefined;
	let sealing: Promise<void> | undefined;
	let saveTimer: unknown;
	let isStopped = false;

	const isFresh = (): boolean => {
		const ageMs = clock.now() - readAtMs;
		return ageMs >= 0 && ageMs < freshMs;
	};

	async function read(tx?: unknown): Promise<void> {
		const startedAtMs = clock.now();
		let changes: readonly EndpointChange[];
		do {
			changes = await records.changes(revision, pageSize, { tx });
			for (const change of changes) {
				// Two may read at the same time, and the other has got further.
				if (change.revision <= revision) continue;
				if (change.record === undefined) deleted.delete(change.id);
				apply(change);
				revision = change.revision;
			}
		} while (changes.length === pageSize);
		if (tx === undefined) readAtMs = startedAtMs;
	}

	/** What is being read already may lack what was written since that began: then once more. */
	function reload(): Promise<void> {
		if (reading === undefined) return startReading();
		queued ??= reading
			.catch(() => undefined)
			.then(() => {
				queued = undefined;
				return startReading();
			});
		return queued;
	}

	function startReading(): Promise<void> {
		const started = read().finally(() => {
			if (reading === started) reading = undefined;
		});
		reading = started;
		return started;
	}

	async function refresh(): Promise<void> {
		if (isFresh()) return;
		await reading?.catch(() => undefined);
		if (!isFresh()) await reload();
	}

	function apply({ id, revision: changed, record }: EndpointChange): void {
		const known = endpoints.get(id);
		if ((known !== undefined && known.revision >= changed) || (record !== undefined && deleted.has(id)))
			return;
		let endpoint: ActiveEndpoint | undefined;
		if (record === undefined) {
			forget(id);
		} else {
			endpoint = tryActivate(record, unsaved.has(id) ? known?.health : undefined);
			if (endpoint === undefined) {
				endpoints.delete(id);
			} else {
				endpoints.set(id, endpoint);
				watchPause(endpoint);
				if (needsSealing(endpoint)) sealSoon(id);
			}
		}
		if (known === undefined || endpoint === undefined || !hasSameRoutes(known, endpoint)) onRoutes();
		onChange(id);
	}

	/** Where it cannot be used here, its deliveries wait: another process may have what this one lacks. */
	function tryActivate(
		record: EndpointRecord,
		health: EndpointHealth | undefined,
	): ActiveEndpoint | undefined {
		const { id, revision: read } = record;
		try {
			const endpoint = activate(readDocument(record), read, box, health);
			const lacking = lacks(endpoint.settings);
			if (endpoint.fault !== undefined) hold(id, id, endpoint.fault);
			else if (lacking !== undefined)
				hold(id, lacking, new Error(`An endpoint names the ${lacking}, which this bridge does not have`));
			else {
				held.delete(id);
				reported.delete(id);
			}
			return endpoint;
		} catch {
			hold(id, id, unreadable(id));
			return undefined;
		}
	}

	function hold(id: string, why: string, error: Error): void {
		held.add(id);
		if (reported.has(why)) return;
		reported.add(why);
		report(error, "endpoint");
	}

	function forget(id: string): void {
		endpoints.delete(id);
		held.delete(id);
		paused.delete(id);
		unsaved.delete(id);
		sealedAnew.delete(id);
		reported.delete(id);
	}

	function* closed(): Generator<string> {
		yield* held;
		const nowMs = clock.now();
		for (const id of paused.keys()) {
			const endpoint = endpoints.get(id);
			if (endpoint === undefined || held.has(id)) continue;
			// What one that is disabled still has is claimed and cancelled, pause or not.
			if (endpoint.state !== "disabled" && isPaused(endpoint.health, nowMs)) yield id;
		}
	}

	function watchPause({ document: { id }, health }: ActiveEndpoint): void {
		const { pause } = health;
		if (pause === undefined) {
			paused.delete(id);
			return;
		}
		const isWatched = paused.get(id) === pause.untilMs;
		paused.set(id, pause.untilMs);
		if (!isWatched && isPaused(health, clock.now())) pauses.add(id, pause.untilMs);
	}

	function endPause(id: string, untilMs: number): void {
		if (endpoints.get(id)?.health.pause?.untilMs === untilMs) onChange(id);
	}

	async function edit(id: string, change: Parameters<EndpointDirectory["edit"]>[1]): Promise<ActiveEndpoint> {
		for (;;) {
			const record = await records.get(id);
			if (record === undefined) throw unknownEndpoint(id);
			const document = change(readDocument(record));
			if (document === undefined) return take(record);
			const written = toRecord(sealAnew(document, box));
			const changed = await records.put(written, record.revision);
			if (changed !== undefined) return take({ ...written, revision: changed });
		}
	}

	/** What was written or read just now; a newer one may be known already. */
	function take(record: EndpointRecord): ActiveEndpoint {
		apply({ id: record.id, revision: record.revision, record });
		return endpoints.get(record.id) ?? activate(readDocument(record), record.revision, box, undefined);
	}

	const needsSealing = ({ document, fault }: ActiveEndpoint): boolean =>
		fault === undefined && sealAnew(document, box) !== document;

	function sealSoon(id: string): void {
		if (isStopped || sealedAnew.has(id)) return;
		sealedAnew.add(id);
		toSeal.push(id);
		sealing ??= seal();
	}

	/** One after the other, so that a new key for many endpoints does not keep the store from its work. */
	async function seal(): Promise<void> {
		for (let id = toSeal.shift(); id !== undefined && !isStopped; id = toSeal.shift()) {
			await tryEdit(id, (document) => (sealAnew(document, box) === document ? undefined : document));
		}
		sealing = undefined;
	}

	/** Answers whether it need not be tried again. */
	async function tryEdit(id: string, change: Parameters<EndpointDirectory["edit"]>[1]): Promise<boolean> {
		try {
			await edit(id, change);
			return true;
		} catch (error) {
			if (isCallhookError(error, "ERR_CALLHOOK_UNKNOWN_ENDPOINT")) return true;
			report(error, "endpoint");
			// Final: nobody opens a store again.
			return isCallhookError(error, "ERR_CALLHOOK_CLOSED");
		}
	}

	async function save(): Promise<void> {
		for (const [id, hasSucceeded] of [...unsaved]) {
			const health = endpoints.get(id)?.health;
			unsaved.delete(id);
			if (health === undefined) continue;
			const isDone = await tryEdit(id, (document) => ({
				...document,
				health: hasSucceeded ? health : mergeHealth(document.health, health),
			}));
			if (!isDone) unsaved.set(id, hasSucceeded || unsaved.get(id) === true);
		}
		if (unsaved.size > 0) saveSoon();
	}

	function saveSoon(): void {
		if (isStopped) return;
		saveTimer ??= unref(
			clock.setTimeout(() => {
				saveTimer = undefined;
				saving = (saving ?? Promise.resolve()).then(save);
			}, saveAfterMs),
		);
	}

	return {
		get isFresh() {
			return isFresh();
		},
		refresh,
		reload,
		readIn: read,
		get: (id) => endpoints.get(id),
		values: () => endpoints.values(),
		isHeld: (id) => held.has(id),
		closed,
		async add(document) {
			const record = toRecord(document);
			const added = await records.put(record, 0);
			if (added === undefined) throw new Error(`There is an endpoint ${document.id} already`);
			return take({ ...record, revision: added });
		},
		edit,
		async delete(id) {
			const existed = await records.delete(id);
			if (existed) deleted.add(id);
			forget(id);
			onRoutes();
			onChange(id);
			return existed;
		},
		setHealth(id, health) {
			const endpoint = endpoints.get(id);
			if (endpoint === undefined) return;
			endpoint.health = health;
			watchPause(endpoint);
			unsaved.set(id, health.failingSinceMs === undefined || unsaved.get(id) === true);
			saveSoon();
		},
		async stop() {
			isStopped = true;
			clock.clearTimeout(saveTimer);
			pauses.stop();
			await Promise.all([saving, sealing]);
			await save();
		},
	};
}

export const readDocument = ({ document }: EndpointRecord): EndpointDocument =>
	JSON.parse(document) as EndpointDocument;

function toRecord(document: EndpointDocument): Omit<EndpointRecord, "revision"> {
	return { id: document.id, tenant: document.settings.tenant, document: JSON.stringify(document) };
}

export function unknownEndpoint(endpointId: string): CallhookError {
	return new CallhookError("ERR_CALLHOOK_UNKNOWN_ENDPOINT", `There is no endpoint "${endpointId}"`, {
		endpointId,
	});
}
