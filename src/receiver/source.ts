import type { ReceivedEvent } from "./received-event.ts";

/** What a sender's scheme gets of the receiver. */
export interface SourceContext {
	readonly toleranceSeconds: number;
	/** Milliseconds since the Unix epoch. */
	readonly now: () => number;
}

/** Events that are genuine, or the answer to a message that carries none. */
type SourceMessage =
	| {
			readonly events: readonly ReceivedEvent[];
			/** Whether success is told by an empty 200, since the sender shows what else it gets. */
			readonly isAnsweredEmpty?: boolean;
	  }
	| { readonly answer: Response };

/** One sender's scheme, ready to read. */
interface WebhookSource {
	/** Whether it takes a request with these headers, by its content type. */
	takes(headers: Headers): boolean;
	/** Verifies a message and names its events. Rejects with an error of the table. */
	read(body: Uint8Array, headers: Headers): Promise<SourceMessage>;
	/** Whether anyone can write its messages: then nobody's verification is answered. */
	readonly isOpenToAll?: boolean;
}

/** How one sender signs and names its webhooks; made by `github`, `stripe`, `shopify`, `slack`, `svix` and `cloudEvents`. */
export interface ReceiverPreset {
	readonly name: string;
	/** @internal */
	open(context: SourceContext): WebhookSource;
}
