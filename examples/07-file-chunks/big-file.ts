import { createHash, randomFillSync } from "node:crypto";
import { type FileHandle, mkdtemp, open, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

export interface BigFile extends AsyncDisposable {
	readonly path: string;
	/** SHA-256 of the whole file. */
	readonly digest: string;
}

/** Writes a file of random bytes, chunk by chunk; disposing deletes it. */
export async function makeBigFile(chunks: number, chunkBytes: number): Promise<BigFile> {
	const folder = await mkdtemp(join(tmpdir(), "callhook-chunks-"));
	const remove = () => rm(folder, { recursive: true, force: true });
	try {
		const path = join(folder, "big.bin");
		const file = await open(path, "wx");
		try {
			return { path, digest: await fill(file, chunks, chunkBytes), [Symbol.asyncDispose]: remove };
		} finally {
			await file.close();
		}
	} catch (error) {
		await remove();
		throw error;
	}
}

async function fill(file: FileHandle, chunks: number, chunkBytes: number): Promise<string> {
	const hash = createHash("sha256");
	const chunk = Buffer.alloc(chunkBytes);
	for (let written = 0; written < chunks; written++) {
		randomFillSync(chunk);
		hash.update(chunk);
		await file.write(chunk);
	}
	return hash.digest("hex");
}
