import type { Claim, NewDelivery, Settlement, StoredEvent } from "./ports.ts";

/** A family of outbox targets that one piece of code runs: all webhook endpoints, say, or their router. */
export interface TargetGroup {
	readonly name: string;
	/** At most so many deliveries of the group run at once in this process. */
	readonly concurrency: number;
	/** The same for one target. */
	concurrencyOf(target: string): number;
	/** Resolves once the group is ready for claims; asked before each. A rejection puts the claim off. */
	prepare?(): Promise<unknown>;
	/**
	 * Where an event goes, if that can be said at once: it then enters the outbox as these deliveries and needs no
	 * routing. `undefined`: it enters as one delivery to the group itself.
	 */
	route?(event: StoredEvent): readonly NewDelivery[] | undefined;
	/**
	 * Makes one attempt, or says where the event goes from here: that is how one row in the outbox becomes a delivery
	 * for each endpoint. Should not throw.
	 */
	run(claim: Claim): Promise<Omit<Settlement, "token">>;
	/** Ends the attempts that run, soon: the relay waits no longer and gives their claims back. */
	abort(): void;
}
