import type { Catalog } from "../event/index.ts";
import { type Clock, systemClock } from "../internal/clock.ts";
import { checkClock, checkDelayMs, checkNumber, checkOptions, invalidOption } from "../internal/options.ts";
import type { OutboxStore } from "../outbox/ports.ts";
import type { DedupeParts } from "./dedupe.ts";
import type { ConsentOptions } from "./handshake.ts";
import type { EventSink } from "./intake.ts";
import type { ReceiverPreset } from "./source.ts";
import { standardWebhooks } from "./standard-source.ts";

/** Options of {@link createReceiver}. Either `secrets` or `preset` says whose webhooks come in. */
export interface ReceiverOptions extends ConsentOptions {
	/**
	 * One secret (`whsec_…`) or public key (`whpk_…`), or several while one replaces another: a message of Standard Webhooks
	 * that is signed with any of them passes.
	 */
	readonly secrets?: string | readonly string[] | undefined;
	/** How another sender signs: `github({ secret })`, `stripe`, `shopify`, `slack`, `svix` or `cloudEvents`. */
	readonly preset?: ReceiverPreset | undefined;
	/** Emits what arrives. Its own catalog, if it has one, validates and converts the data. */
	readonly bus: EventSink;
	/**
	 * The only types that may come in, and their schemas. Default: whatever the bus takes. It is a gate: the bus still
	 * gets the data as received, so that a schema which converts is not applied twice.
	 */
	readonly events?: Catalog | undefined;
	/**
	 * What becomes of a type that no catalog lists: `refuse` answers 400, so that it comes again once this program knows it;
	 * `ignore` answers 200 and leaves it. Default: `refuse`.
	 */
	readonly unknownTypes?: "refuse" | "ignore" | undefined;
	/**
	 * `store` answers as soon as the event is safe: 202 once the store of the bus has it, 204 behind the callbacks where the bus has
	 * none. `inline` answers 204 behind callbacks and handlers that are not durable, and 500 where one has failed. Default: `store`.
	 */
	readonly mode?: "store" | "inline" | undefined;
	/**
	 * How long `inline` waits before it answers 503, while the handlers go on; of a batch, the events that have not begun
	 * by then wait for the next attempt. Default: 10,000.
	 */
	readonly inlineTimeoutMs?: number | undefined;
	/**
	 * Over how many webhooks an event may have come already. One that came over more is answered with 200 and left, as the sign
	 * of a loop. Default: 0, which takes what the sender emitted itself, and not what it received.
	 */
	readonly maxHops?: number | undefined;
	/**
	 * Runs each message once: a repeat is answered with 200 and left, one that failed runs again, and of two that come at once
	 * one runs while the other is told to come again, with 503. It takes any outbox store, such as that of the bus: with one that
	 * processes share, this holds for all of them. Default: a repeat is emitted again, under the same id.
	 */
	readonly dedupe?: Pick<OutboxStore, "receipts"> | undefined;
	/** How long `dedupe` remembers a message: longer than its sender retries. Default: 259,200,000 (3 days). */
	readonly dedupeForMs?: number | undefined;
	/** Goes before each id in the store of `dedupe`: receivers of several senders need one each. Default: that of the preset. */
	readonly name?: string | undefined;
	/** How old, or how far ahead, a message may be; exactly as much still passes. Default: 300. */
	readonly toleranceSeconds?: number | undefined;
	/** Of the body, packed and unpacked. Default: 1,048,576 (1 MiB). */
	readonly maxBodyBytes?: number | undefined;
	/** Of all headers, their names included. Default: 16,384. */
	readonly maxHeaderBytes?: number | undefined;
	/** How long the body may take to arrive. Default: 10,000. */
	readonly readTimeoutMs?: number | undefined;
	/** Default: the machine's clock. */
	readonly clock?: Clock | undefined;
}

/** The options, checked, each with a value. */
export interface ReceiverSettings {
	readonly preset: ReceiverPreset;
	readonly bus: EventSink;
	readonly events: Catalog | undefined;
	readonly unknownTypes: "refuse" | "ignore";
	readonly mode: "store" | "inline";
	readonly inlineTimeoutMs: number;
	readonly maxHops: number;
	readonly dedupe: DedupeParts | undefined;
	readonly toleranceSeconds: number;
	readonly maxBodyBytes: number;
	readonly maxHeaderBytes: number;
	readonly readTimeoutMs: number;
	readonly clock: Clock;
	readonly consent: ConsentOptions;
}

const known: readonly (keyof ReceiverOptions)[] = [
	...(["secrets", "preset", "bus", "events", "unknownTypes", "mode", "inlineTimeoutMs", "maxHops"] as const),
	...(["toleranceSeconds", "maxBodyBytes", "maxHeaderBytes", "readTimeoutMs", "clock"] as const),
	...(["dedupe", "dedupeForMs", "name", "allowedOrigins", "allowedRate"] as const),
];

/** Throws ERR_CALLHOOK_INVALID_SECRET or ERR_CALLHOOK_INVALID_OPTION. */
export function readReceiverOptions(options: ReceiverOptions): ReceiverSettings {
	checkOptions("options", options, known);
	const { bus, events, allowedOrigins, allowedRate } = options;
	const { unknownTypes = "refuse", mode = "store", clock = systemClock } = options;
	const { inlineTimeoutMs = 10_000, maxHops = 0, toleranceSeconds = 300 } = options;
	const { maxBodyBytes = 1_048_576, maxHeaderBytes = 16_384, readTimeoutMs = 10_000 } = options;
	checkMethod("bus", bus, "emit");
	if (events !== undefined) checkMethod("events", events, "parse");
	checkOneOf("unknownTypes", unknownTypes, ["refuse", "ignore"]);
	checkOneOf("mode", mode, ["store", "inline"]);
	checkDelayMs("inlineTimeoutMs", inlineTimeoutMs, 1);
	checkDelayMs("readTimeoutMs", readTimeoutMs, 1);
	checkNumber("maxHops", maxHops, { min: 0, max: 100 });
	checkNumber("toleranceSeconds", toleranceSeconds, { min: 0, integer: false });
	checkNumber("maxBodyBytes", maxBodyBytes, { min: 1 });
	checkNumber("maxHeaderBytes", maxHeaderBytes, { min: 256 });
	checkClock(clock);
	const preset = readPreset(options);
	return {
		preset,
		dedupe: readDedupe(options, preset, clock),
		...{ bus, events, unknownTypes, mode, inlineTimeoutMs, maxHops, toleranceSeconds },
		...{ maxBodyBytes, maxHeaderBytes, readTimeoutMs, clock, consent: { allowedOrigins, allowedRate } },
	};
}

function readDedupe(
	{ dedupe, dedupeForMs = 259_200_000, name }: ReceiverOptions,
	preset: ReceiverPreset,
	clock: Clock,
): DedupeParts | undefined {
	checkNumber("dedupeForMs", dedupeForMs, { min: 1_000 });
	const scope = name ?? preset.name;
	if (typeof scope !== "string" || !/^[\w-]{1,64}$/u.test(scope)) {
		throw invalidOption("name", 'up to 64 letters, digits, "_" and "-"', scope);
	}
	if (dedupe === undefined) return undefined;
	if (typeof (dedupe as Partial<OutboxStore> | null)?.receipts?.claim !== "function") {
		throw invalidOption("dedupe", "an outbox store, such as memoryStore()", dedupe);
	}
	return { store: dedupe, scope, forMs: dedupeForMs, clock };
}

function readPreset({ preset, secrets }: ReceiverOptions): ReceiverPreset {
	// A secret that is not set is the secret's error: the message says what one looks like.
	if (preset === undefined) return standardWebhooks(secrets as string);
	checkMethod("preset", preset, "open");
	if (secrets !== undefined)
		throw invalidOption("secrets", "left out: the preset has its own", "the secrets");
	return preset;
}

function checkOneOf(option: string, value: unknown, values: readonly string[]): void {
	if (!values.includes(value as string)) {
		throw invalidOption(option, values.map((each) => `"${each}"`).join(" or "), value);
	}
}

function checkMethod(option: string, value: unknown, method: string): void {
	if (typeof (value as Record<string, unknown> | null | undefined)?.[method] === "function") return;
	throw invalidOption(option, `an object with a method ${method}()`, value);
}
