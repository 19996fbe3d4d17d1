import { checkNumber, checkOptions, invalidOption } from "./options.ts";

export interface PageRequest {
	/** At most so many items, 1 to 1,000. Default 50. */
	readonly limit?: number | undefined;
	/** From the page before. */
	readonly cursor?: string | undefined;
}

/** A page, newest first; `cursor` asks for the next one and is absent on the last. */
export interface Page<Item> {
	readonly items: readonly Item[];
	readonly cursor?: string | undefined;
}

/** Checks what a caller asks of a page, beside the filters it may have; throws ERR_CALLHOOK_INVALID_OPTION. */
export function readPage(page: PageRequest = {}, filters: readonly string[] = []): PageRequest {
	checkOptions("list", page, ["limit", "cursor", ...filters]);
	const { limit = 50, cursor } = page;
	checkNumber("limit", limit, { min: 1, max: 1_000 });
	if (cursor !== undefined && typeof cursor !== "string") throw invalidOption("cursor", "a string", cursor);
	return { limit, cursor };
}

/** A page of rows whose ids rise or fall; the cursor is the last id of the page before, which may be gone by now. */
export function paginate<Row extends { readonly id: string }, Item>(
	rows: readonly Row[],
	{ limit = 50, cursor }: PageRequest,
	order: "rising" | "falling",
	show: (row: Row) => Item,
): Page<Item> {
	const rest =
		cursor === undefined ? rows : rows.filter(({ id }) => (order === "rising" ? id > cursor : id < cursor));
	const items = rest.slice(0, limit);
	const last = items.at(-1);
	return last === undefined || items.length === rest.length
		? { items: items.map(show) }
		: { items: items.map(show), cursor: last.id };
}
