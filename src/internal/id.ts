import { v7 } from "uuid";

/** A new id: the prefix, then a UUID version 7, so that ids sort by the time they were made. */
export function createId(prefix: "evt" | "dlv" | "ep" | "tok"): string {
	return `${prefix}_${v7()}`;
}
