import type { RateLimit } from "../lanes/index.ts";
import type { DisabledReason } from "../outbox/index.ts";
import type { SignatureScheme } from "../signature/index.ts";
import type { EndpointHealth } from "./endpoint-health.ts";
import type { RetrySchedule } from "./outcome.ts";
import type { PayloadFormat } from "./payload.ts";
import type { Where } from "./where-type.ts";

/** What of an endpoint may be changed by `update`. */
export interface EndpointFields<W = Where> {
	/** Where to POST; `https` unless the bridge allows `http`. */
	readonly url: string;
	/** Patterns of the event types it gets, of those that the bridge forwards. */
	readonly events: readonly string[];
	/** Whose it is: it gets only events of this tenant, where the bridge has a `tenantFrom`; and for lists. */
	readonly tenant?: string | undefined;
	readonly description?: string | undefined;
	/** Only events whose content is so. */
	readonly where?: W | undefined;
	/** The name of one of the bridge's `filters`, asked before each attempt. */
	readonly filter?: string | undefined;
	/** The name of one of the bridge's `transforms`, which makes each payload. */
	readonly transform?: string | undefined;
	/** What is sent. Default `standard`: `{ type, timestamp, data }`, as Standard Webhooks recommends. */
	readonly format?: PayloadFormat | undefined;
	/** Headers added to each request. */
	readonly headers?: Readonly<Record<string, string>> | undefined;
	/** At most so many requests at once from one process, 1 to 1,000. Default 4. */
	readonly concurrency?: number | undefined;
	/** At most `count` requests in any `perMs` milliseconds from one process. Default: any number. */
	readonly rateLimit?: RateLimit | undefined;
	/**
	 * `key`: events of one `key` one after the other, in the order they were emitted; `endpoint`: all events so. What fails
	 * holds back what is behind it until it is delivered or dead. Default `none`.
	 */
	readonly order?: "none" | "key" | "endpoint" | undefined;
	/** Deadline of one attempt, 1 to 600,000. Default: the bridge's. */
	readonly timeoutMs?: number | undefined;
	/** When to try again. Default: the bridge's. */
	readonly retry?: Partial<RetrySchedule> | undefined;
	/** Compresses what is sent; the signature is that of the payload before. Default: not. */
	readonly compress?: "gzip" | undefined;
	/** For an authority of one's own and for receivers that ask for a certificate, in PEM. */
	readonly tls?: EndpointTls | undefined;
	/**
	 * It gets no event before it has proved that it wants them: `challenge` asks it to answer a signed request with what is
	 * in it, `cloudevents` asks by OPTIONS as the CloudEvents webhook specification says. Default: none.
	 */
	readonly verify?: "challenge" | "cloudevents" | undefined;
}

/** What an endpoint is made from. */
export interface EndpointInput<W = Where> extends EndpointFields<W> {
	/** How its webhooks are signed. Default `v1`. */
	readonly signature?: SignatureScheme | undefined;
	/** A secret that fits `signature`. Default: a new one. */
	readonly secret?: string | undefined;
}

/** What to change; `null` takes a field away, `undefined` leaves it as it is. */
export type EndpointChanges<W = Where> = {
	readonly [Field in keyof EndpointFields<W>]?: EndpointFields<W>[Field] | null;
};

export interface EndpointTls {
	/** The authorities to trust instead of the usual. */
	readonly ca?: string | undefined;
	/** The certificate to show, with its `key`. */
	readonly cert?: string | undefined;
	/** Never shown. */
	readonly key?: string | undefined;
}

/** A registered receiver of webhooks, without its secrets. */
export interface Endpoint extends Omit<EndpointFields, "headers" | "tls"> {
	readonly id: string;
	readonly concurrency: number;
	readonly order: "none" | "key" | "endpoint";
	readonly format: PayloadFormat;
	readonly signature: SignatureScheme;
	/** With a `v1a` signature: what receivers verify with, `whpk_` and base64. */
	readonly publicKey?: string | undefined;
	/** Values that may be secrets, by their names, are hidden. */
	readonly headers?: Readonly<Record<string, string>> | undefined;
	/** Without its key. */
	readonly tls?: Omit<EndpointTls, "key"> | undefined;
	/** `unverified` and `disabled` ones get no events. */
	readonly state: "enabled" | "unverified" | "disabled";
	readonly disabledReason?: DisabledReason | undefined;
	/** RFC 3339, UTC, as all that follow. */
	readonly disabledAt?: string | undefined;
	/** Nothing has succeeded since. */
	readonly failingSince?: string | undefined;
	/** Nothing is sent until then. */
	readonly pausedUntil?: string | undefined;
	readonly createdAt: string;
	readonly updatedAt: string;
}

/** The secrets of an endpoint. */
export interface EndpointSecrets {
	readonly signature: SignatureScheme;
	readonly secret: string;
	readonly publicKey?: string | undefined;
	/** Earlier ones that still sign beside it, with the ends of their time. */
	readonly previous: readonly {
		readonly signature: SignatureScheme;
		readonly secret: string;
		readonly expiresAt: string;
	}[];
}

/** The checked fields of an endpoint, with their defaults. */
export interface EndpointSettings extends EndpointFields {
	readonly concurrency: number;
	readonly order: "none" | "key" | "endpoint";
	readonly format: PayloadFormat;
}

/** A secret as the store keeps it: sealed where the bridge has a `secretKey`. */
export interface KeptKey {
	readonly scheme: SignatureScheme;
	readonly secret: string;
	/** Milliseconds since 1970; absent for the one in use. */
	readonly expiresAtMs?: number | undefined;
}

/** An endpoint as the store keeps it, as JSON. */
export interface EndpointDocument {
	readonly id: string;
	readonly createdAt: string;
	readonly updatedAt: string;
	readonly settings: Omit<EndpointSettings, "headers" | "tls">;
	/** The settings that may hold secrets, as JSON, sealed. */
	readonly sealed?: string | undefined;
	/** The newest first. */
	readonly keys: readonly KeptKey[];
	readonly disabled?: { readonly reason: DisabledReason; readonly at: string } | undefined;
	readonly isVerified?: boolean | undefined;
	readonly health?: EndpointHealth | undefined;
}

/** What is in `sealed`. */
export type SealedSettings = Pick<EndpointSettings, "headers" | "tls">;
