import type { Clock } from "../internal/clock.ts";
import type { OutboxStore, Receipt } from "../outbox/ports.ts";
import { leaveAside, refuse } from "./answers.ts";
import type { Taken } from "./intake.ts";

/** Lets each message run once, or again after it failed. */
export type Dedupe = (id: string, run: () => Promise<Taken>) => Promise<Taken>;

export interface DedupeParts {
	readonly store: Pick<OutboxStore, "receipts">;
	/** In front of each id, so that senders cannot take each other's. */
	readonly scope: string;
	/** How long a message that was taken is remembered. */
	readonly forMs: number;
	readonly clock: Clock;
}

/** A process that dies holds a message for so long. */
const leaseMs = 60_000;
/** In between others have their turn. */
const pruneEveryMs = 60_000;
const pruneAtMost = 100;

/** Without a store every message runs. */
export function createDedupe(parts: DedupeParts | undefined): Dedupe {
	if (parts === undefined) return (_, run) => run();
	const { scope, forMs, clock } = parts;
	const { receipts } = parts.store;
	let prunedAtMs = clock.now();

	/** Holds the lease until the message has ended, then remembers it or gives it back. */
	async function finish(receipt: Receipt, isDone: Promise<boolean>, renewal: Renewal): Promise<void> {
		const ended = await isDone.catch(() => false);
		renewal.stop();
		if (ended) await receipts.confirm(receipt, forMs);
		else await receipts.release(receipt);
	}

	/** As messages come, since a timer would keep the process alive. */
	function pruneSometimes(): void {
		const nowMs = clock.now();
		if (nowMs - prunedAtMs < pruneEveryMs) return;
		prunedAtMs = nowMs;
		receipts.prune(pruneAtMost).then(
			(pruned) => {
				// There is more: with the next message, then.
				if (pruned === pruneAtMost) prunedAtMs = Number.NEGATIVE_INFINITY;
			},
			// Whatever ails the store, the next claim says it.
			() => undefined,
		);
	}

	return async (id, run) => {
		const claim = await receipts.claim(`${scope}:${id}`, leaseMs);
		pruneSometimes();
		if (claim.state === "done") return { answer: leaveAside("DUPLICATE"), isDone: true };
		if (claim.state === "busy") {
			const seconds = Math.min(5, Math.max(1, Math.ceil(claim.freeInMs / 1_000)));
			return { answer: refuse(503, "IN_PROGRESS", { "retry-after": String(seconds) }), isDone: false };
		}
		const renewal = renew(() => receipts.extend(claim.receipt, leaseMs), clock);
		let taken: Taken;
		try {
			taken = await run();
		} catch (error) {
			// The error of the run says more than one of the store would.
			await finish(claim.receipt, Promise.resolve(false), renewal).catch(() => undefined);
			throw error;
		}
		const finished = finish(claim.receipt, Promise.resolve(taken.isDone), renewal);
		if (typeof taken.isDone === "boolean") {
			// Answered with success but not remembered, it would run again with every repeat: so it waits for the commit.
			await finished;
		} else {
			// What ends behind the answer has nobody to tell: the lease ends, and the message runs again.
			finished.catch(() => undefined);
		}
		return taken;
	};
}

interface Renewal {
	stop(): void;
}

/** Makes a lease last as long as its work, which may be longer than one lease. */
function renew(extend: () => Promise<boolean>, clock: Clock): Renewal {
	let timer: unknown;
	const plan = (): void => {
		timer = clock.setTimeout(() => {
			plan();
			// Once it is lost there is nothing to hold on to.
			extend().then(
				(isHeld) => void (isHeld || clock.clearTimeout(timer)),
				() => undefined,
			);
		}, leaseMs / 3);
	};
	plan();
	return { stop: () => clock.clearTimeout(timer) };
}
