import { createHash } from "node:crypto";
import type { Dispatcher } from "undici";
import type { Clock } from "../internal/clock.ts";

/** What TLS connections to one endpoint are made with, all in PEM; nothing of it is logged. */
export interface TlsMaterial {
	/** The authorities that may vouch for the server, in place of the well-known ones. */
	readonly ca?: string | undefined;
	/** The client's certificate, and its key. */
	readonly cert?: string | undefined;
	readonly key?: string | undefined;
}

/** The agents that requests go through: connections made with other TLS material are never shared. */
export interface AgentPool {
	get(tls?: TlsMaterial): Dispatcher;
	/** Ends all connections and requests at once; later ones fail. */
	close(): Promise<void>;
}

interface Entry {
	readonly agent: Dispatcher;
	readonly openedAtMs: number;
}

// A socket stays with the address it was vetted for; ageing it makes DNS changes count. undici's `clientTtl` would read
// the clock for each socket on each request: with 64 of them a tenth of all work.
const maxAgeMs = 300_000;
// An agent that is not used holds no socket after a few seconds, but its certificates.
const maxAgents = 256;
const plain = "";

/** Opens an agent for each TLS material when it is first needed; old and superfluous ones end what they have and close. */
export function createAgentPool(clock: Clock, open: (tls: TlsMaterial | undefined) => Dispatcher): AgentPool {
	/** By fingerprint, the one that was used last at the end. */
	const entries = new Map<string, Entry>();
	/** All that are open, those too that only end what they have. */
	const agents = new Set<Dispatcher>();
	let isClosed = false;

	function retire(fingerprint: string, { agent }: Entry): void {
		entries.delete(fingerprint);
		void agent.close().then(() => agents.delete(agent));
	}

	function makeRoom(nowMs: number): void {
		for (const [fingerprint, entry] of entries) {
			if (nowMs - entry.openedAtMs >= maxAgeMs || entries.size > maxAgents) retire(fingerprint, entry);
		}
	}

	return {
		get(tls) {
			const nowMs = clock.now();
			const fingerprint = tls === undefined ? plain : fingerprintOf(tls);
			const found = entries.get(fingerprint);
			if (found !== undefined && nowMs - found.openedAtMs < maxAgeMs) {
				// Moved to the end, unless it is the only one, as it nearly always is.
				if (entries.size > 1) {
					entries.delete(fingerprint);
					entries.set(fingerprint, found);
				}
				return found.agent;
			}
			if (found !== undefined) retire(fingerprint, found);
			const agent = open(tls);
			if (isClosed) {
				void agent.destroy();
				return agent;
			}
			agents.add(agent);
			entries.set(fingerprint, { agent, openedAtMs: nowMs });
			makeRoom(nowMs);
			return agent;
		},
		async close() {
			isClosed = true;
			entries.clear();
			await Promise.all([...agents].map((agent) => agent.destroy()));
		},
	};
}

function fingerprintOf({ ca, cert, key }: TlsMaterial): string {
	return createHash("sha256")
		.update(JSON.stringify([ca, cert, key]))
		.digest("base64");
}
