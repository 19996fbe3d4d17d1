import { checkNumber, checkOptions, invalidOption } from "../internal/options.ts";
import type { PageRequest } from "../outbox/ports.ts";

/** Checks what a caller asks of a page, beside the filters it may have; throws ERR_CALLHOOK_INVALID_OPTION. */
export function readPage(page: PageRequest = {}, filters: readonly string[] = []): PageRequest {
	checkOptions("list", page, ["limit", "cursor", ...filters]);
	const { limit = 50, cursor } = page;
	checkNumber("limit", limit, { min: 1, max: 1_000 });
	if (cursor !== undefined && typeof cursor !== "string") throw invalidOption("cursor", "a string", cursor);
	return { limit, cursor };
}
