import { type Page, type PageRequest, paginate } from "../../internal/page.ts";
import type { EndpointChange, EndpointRecord, NewEndpointRecord } from "../../outbox/ports.ts";

/** The endpoints of a memory store. */
export class Endpoints {
	readonly #records = new Map<string, EndpointRecord>();
	/** The last change of each endpoint there ever was, in their order. */
	readonly #changes = new Map<string, EndpointChange>();
	#revision = 0;

	put(record: NewEndpointRecord, ifRevision: number | undefined): number | undefined {
		const { id, tenant, document } = record;
		if (ifRevision !== undefined && ifRevision !== (this.#records.get(id)?.revision ?? 0)) return undefined;
		const revision = ++this.#revision;
		const kept: EndpointRecord = { id, tenant, document, revision };
		this.#records.set(id, kept);
		this.#note({ id, revision, record: kept });
		return revision;
	}

	get(id: string): EndpointRecord | undefined {
		return this.#records.get(id);
	}

	list({ tenant, ...page }: PageRequest & { readonly tenant?: string | undefined }): Page<EndpointRecord> {
		const all = [...this.#records.values()];
		const records = tenant === undefined ? all : all.filter((record) => record.tenant === tenant);
		return paginate(records, page, "rising", (record) => record);
	}

	delete(id: string): boolean {
		if (!this.#records.delete(id)) return false;
		this.#note({ id, revision: ++this.#revision, record: undefined });
		return true;
	}

	changes(since: number, limit: number): EndpointChange[] {
		return [...this.#changes.values()].filter(({ revision }) => revision > since).slice(0, limit);
	}

	#note(change: EndpointChange): void {
		this.#changes.delete(change.id);
		this.#changes.set(change.id, change);
	}
}
