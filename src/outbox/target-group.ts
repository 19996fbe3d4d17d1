import type { BusEvent } from "../event/index.ts";
import type { Gate, RateLimit } from "../lanes/index.ts";
import type { Claim, NewDelivery, Settlement, StoredEvent } from "./ports.ts";

/** A family of outbox targets that one piece of code runs: all webhook endpoints, say, or their router. */
export interface TargetGroup {
	readonly name: string;
	/** Names under which the store may still have its deliveries. */
	readonly formerNames?: readonly string[] | undefined;
	/** At most so many deliveries of the group run at once in this process. */
	readonly concurrency: number;
	/** The same for one target; asked before each claim. With 0 its deliveries wait in the store. */
	concurrencyOf(target: string): number;
	/** Targets that are there from the start: they get their share in the first claim. */
	readonly targets?: readonly string[] | undefined;
	/** How many claims are at hand for each that runs. Default 2: the next is there while the last is written down. */
	readonly claimsPerSlot?: number | undefined;
	/**
	 * What may have killed its process runs alone: beside it no other delivery of a group that says so. Default false.
	 */
	readonly isIsolated?: boolean | undefined;
	/** A ceiling that it shares with others. Default: one of its own, of `concurrency`. */
	readonly gate?: Gate | undefined;
	/** How many deliveries of a target may start in a time. Default: any. */
	rateLimitOf?(target: string): RateLimit | undefined;
	/** Targets with a concurrency of 0, which nothing is to be claimed for. */
	closedTargets?(): Iterable<string>;
	/**
	 * What has run for so long does not count for `concurrency` any more, so that targets that hang do not keep others
	 * waiting; at most 16 times `concurrency` of them. Default: all count.
	 */
	readonly slowAfterMs?: number | undefined;
	/** Resolves once the group is ready for claims; asked before each. A rejection puts the claim off. */
	prepare?(): Promise<unknown>;
	/**
	 * Lets the group look where events go, before it is asked for events that are about to be stored: in the caller's
	 * transaction, where `tx` is given. `undefined`: it need not.
	 */
	prepareRoutes?(tx: unknown): Promise<unknown> | undefined;
	/**
	 * Where an event goes, if that can be said at once: it then enters the outbox as these deliveries and needs no
	 * routing. `undefined`: it enters as one delivery to the group itself.
	 */
	route?(event: BusEvent, stored: StoredEvent): readonly NewDelivery[] | undefined;
	/**
	 * Makes one attempt, or says where the event goes from here: that is how one row in the outbox becomes a delivery
	 * for each endpoint. `undefined`: it was stopped, and the claim is given back, the attempt not counted; with
	 * `giveBackMs` it is due again after so long. Should not throw.
	 */
	run(claim: Claim): Promise<Omit<Settlement, "token"> | { readonly giveBackMs: number } | undefined>;
	/** Ends the attempts that run, soon: the relay waits no longer and gives their claims back. */
	abort(): void;
}

/** The names under which the store may have deliveries of a group. */
export function namesOf({ name, formerNames = [] }: TargetGroup): readonly string[] {
	return [name, ...formerNames];
}
