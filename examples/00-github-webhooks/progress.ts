/** Where progress is shown: `process.stderr`, or anything that can stand in for it. */
export interface ProgressStream {
	readonly isTTY?: boolean;
	write(text: string): unknown;
}

/** Shows how far a run is. */
export interface Progress {
	update(done: number, total: number): void;
	/** Leaves the line to whatever is printed next. */
	end(): void;
}

const BAR_WIDTH = 40;
const REDRAW_MS = 100;
const LINES = 5;

/** A bar that redraws itself on a terminal, or else a plain line after every fifth of the way. */
export function createProgress(stream: ProgressStream): Progress {
	return stream.isTTY ? createBar(stream) : createLines(stream);
}

function createBar(stream: ProgressStream): Progress {
	let drawnAt = Number.NEGATIVE_INFINITY;
	return {
		update(done, total) {
			const now = performance.now();
			if (now - drawnAt < REDRAW_MS && done < total) return;
			drawnAt = now;
			const filled = Math.round((BAR_WIDTH * done) / total);
			stream.write(`\r${"█".repeat(filled)}${"░".repeat(BAR_WIDTH - filled)} ${describe(done, total)}`);
		},
		end() {
			if (drawnAt !== Number.NEGATIVE_INFINITY) stream.write("\r\x1b[2K");
		},
	};
}

function createLines(stream: ProgressStream): Progress {
	let shown = 0;
	return {
		update(done, total) {
			const due = Math.floor((LINES * done) / total);
			if (due <= shown) return;
			shown = due;
			stream.write(`${describe(done, total)}\n`);
		},
		end() {
			// Every line is complete.
		},
	};
}

function describe(done: number, total: number): string {
	const percent = Math.floor((100 * done) / total);
	return `${String(percent).padStart(3)} %  ${done} of ${total} events and webhooks`;
}
