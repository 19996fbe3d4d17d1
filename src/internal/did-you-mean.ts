/** A question to put behind a message about a name that is none of `names`; empty where none of them is near. */
export function didYouMean(name: string, names: readonly string[]): string {
	// One that is long by mistake must not cost much.
	if (name === "" || name.length > 100) return "";
	let best: string | undefined;
	// More than every third letter wrong is another name; one may be wrong in any.
	let least = Math.max(2, Math.floor(name.length / 3) + 1);
	for (const other of names) {
		const distance = other.startsWith(name) ? 0 : distanceOf(name.toLowerCase(), other.toLowerCase());
		if (distance >= least) continue;
		best = other;
		least = distance;
	}
	return best === undefined ? "" : `; did you mean "${best}"?`;
}

/** How many letters have to be added, taken out or replaced. */
function distanceOf(from: string, to: string): number {
	let row = Array.from({ length: to.length + 1 }, (_, index) => index);
	for (const [line, letter] of [...from].entries()) {
		let left = line + 1;
		row = row.map((above, index) => {
			if (index === 0) return left;
			const replaced = (row[index - 1] as number) + (letter === to[index - 1] ? 0 : 1);
			left = Math.min(above + 1, left + 1, replaced);
			return left;
		});
	}
	return row.at(-1) as number;
}
