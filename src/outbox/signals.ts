import type { AttemptRecord } from "./ports.ts";

/** What the outbox and its adapters tell observers; part of the lifecycle signals of the bus. */
export interface OutboxSignals {
	/** An attempt failed; with `retryInMs` another will follow. */
	"attempt:failed": DeliveryInfo & {
		readonly attempt: AttemptRecord;
		readonly retryInMs?: number | undefined;
	};
	/** The target has it. */
	"delivery:delivered": DeliveryInfo & { readonly attempt: AttemptRecord };
	/** The last attempt failed. */
	"delivery:dead": DeliveryInfo & { readonly attempt: AttemptRecord };
	/** It was claimed and is not to be made: its endpoint is gone or disabled, or its filter or transform dropped it. */
	"delivery:cancelled": DeliveryInfo;
	/**
	 * The settlement came too late: the lease had ended, so that another claim may run the delivery again, or the
	 * delivery had been cancelled.
	 */
	"delivery:lost": DeliveryInfo;
	/** An endpoint was registered. */
	"endpoint:created": EndpointInfo;
	/** Some of its fields were changed. */
	"endpoint:updated": EndpointInfo;
	/** It was deleted, and its unfinished deliveries cancelled. */
	"endpoint:deleted": EndpointInfo;
	/** It has a new secret. */
	"endpoint:rotated": EndpointInfo;
	/** It gets events again. */
	"endpoint:enabled": EndpointInfo;
	/** It gets no more events, and its unfinished deliveries were cancelled. */
	"endpoint:disabled": EndpointInfo & { readonly reason: DisabledReason };
	/** It has answered the verification, and gets events from now on. */
	"endpoint:verified": EndpointInfo;
	/**
	 * Every attempt has failed for so long that half, then nine tenths, of the time are over after which it is disabled.
	 */
	"endpoint:failing": EndpointInfo & {
		/** RFC 3339, UTC: the first of the failures. */
		readonly failingSince: string;
		/** RFC 3339, UTC. */
		readonly disabledAt: string;
	};
	/** An attempt succeeded after attempts that had failed for longer than a minute. */
	"endpoint:recovered": EndpointInfo & { readonly failingSince: string };
	/** It gets nothing for a while: its attempts failed in a row, or it asked for it with Retry-After. */
	"endpoint:paused": EndpointInfo & { readonly reason: "failures" | "retry-after"; readonly forMs: number };
	/** The trial behind a pause succeeded. */
	"endpoint:resumed": EndpointInfo;
}

/**
 * Why an endpoint is disabled: somebody called `disable`; it answered 410; it answered `webhook-delivery: disable`; it had
 * failed for too long.
 */
export type DisabledReason = "manual" | "gone" | "asked" | "failing";

export interface DeliveryInfo {
	readonly deliveryId: string;
	readonly eventId: string;
	readonly type: string;
	readonly group: string;
	/** Which member of the group: for webhooks the endpoint's id. */
	readonly target: string;
	readonly attempts: number;
}

export interface EndpointInfo {
	readonly endpointId: string;
	readonly url: string;
	readonly tenant?: string | undefined;
}
