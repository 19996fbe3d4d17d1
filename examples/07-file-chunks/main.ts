import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { makeBigFile } from "./big-file.ts";
import { processFile } from "./chunk-bus.ts";

const CHUNK_BYTES = 1_048_576;
const MEMORY_MB = 250;
const megabytes = Number(process.argv[2] ?? 300);
assert(Number.isInteger(megabytes) && megabytes > 0, "The size is a whole number of MB");

console.error(`writing ${megabytes} MB`);
await using file = await makeBigFile(megabytes, CHUNK_BYTES);

// One after the other: the digest of the whole is right only if every chunk came once and in order.
const whole = createHash("sha256");
const mostInSequence = await processFile(file.path, CHUNK_BYTES, {
	concurrency: 1,
	limit: 4,
	work: ({ bytes }) => whole.update(bytes),
});
assert.equal(whole.digest("hex"), file.digest);
assert(mostInSequence <= 1 + 4 + 1, `${mostInSequence} chunks`);
console.log("sequential: every chunk once and in order, never more than 6 in memory");

// Four at once, in Node's thread pool; each digest goes to its own place.
const digests: string[] = [];
let [running, mostRunning] = [0, 0];
const mostInParallel = await processFile(file.path, CHUNK_BYTES, {
	concurrency: 4,
	limit: 4,
	work: async ({ index, bytes }) => {
		mostRunning = Math.max(mostRunning, ++running);
		digests[index] = Buffer.from(await crypto.subtle.digest("SHA-256", bytes)).toString("hex");
		running--;
	},
});
assert.equal(Object.keys(digests).length, megabytes);
assert(mostRunning > 1 && mostRunning <= 4, `${mostRunning} at once`);
assert(mostInParallel <= 4 + 4 + 1, `${mostInParallel} chunks`);
console.log("parallel: every chunk once, up to four at once, never more than 9 in memory");

const peakMb = process.resourceUsage().maxRSS / 1024;
console.error(`peak memory: ${Math.round(peakMb)} MB`);
assert(peakMb < MEMORY_MB, `Peak memory: ${Math.round(peakMb)} MB`);
console.log(`peak memory below ${MEMORY_MB} MB`);
