import { createReadStream } from "node:fs";
import { createBus } from "callhook";

/** A part of a file. */
interface Chunk {
	readonly index: number;
	readonly bytes: Uint8Array<ArrayBuffer>;
}

interface ChunkWork {
	/** How many chunks may be worked on at once, and how many may wait. */
	readonly concurrency: number;
	readonly limit: number;
	readonly work: (chunk: Chunk) => unknown;
}

/**
 * Reads a file and has each of its chunks worked on.
 *
 * @returns how many chunks were in memory at most: worked on, waiting, or read and not yet accepted.
 */
export async function processFile(path: string, chunkBytes: number, options: ChunkWork): Promise<number> {
	const { concurrency, limit, work } = options;
	let [inMemory, most] = [0, 0];
	await using bus = createBus<{ "chunk.read": Chunk }>();
	const worker = bus.handle(
		"chunk.read",
		async (chunk) => {
			try {
				await work(chunk);
			} finally {
				inMemory--;
			}
		},
		{ name: "work", concurrency, queue: { limit, overflow: "block" } },
	);

	let index = 0;
	for await (const bytes of createReadStream(path, { highWaterMark: chunkBytes })) {
		most = Math.max(most, ++inMemory);
		// Backpressure: nothing more is read before the queue has room for what was.
		await bus.emit("chunk.read", { index: index++, bytes }).accepted;
	}
	await worker.idle();
	const { failed } = worker.stats();
	if (failed > 0) throw new Error(`${failed} of ${index} chunks failed`);
	return most;
}
