import type { Dispatcher } from "undici";

/** A request that waits for what becomes of it. */
export interface FakeRequest {
	/** With the query. */
	readonly path: string;
	readonly headers: Readonly<Record<string, string>>;
	readonly body: string;
	answer(status: number, headers?: Readonly<Record<string, string>>): void;
	/** Ends it as a broken connection does. */
	break(code: string): void;
}

/** What happened on the network, in its order. */
type NetworkEvent =
	| { readonly kind: "sent"; readonly request: FakeRequest; readonly atMs: number }
	/** The sender gave it up. */
	| {
			readonly kind: "given up";
			readonly request: FakeRequest;
			readonly atMs: number;
			readonly code: string;
	  };

/** Stands for all that is behind undici: requests hang until they are answered, and no time passes. */
export interface FakeNetwork {
	/** What has happened since this was last asked. */
	takeEvents(): NetworkEvent[];
}

interface Behind {
	readonly events: NetworkEvent[];
	now(): number;
}

let current: Behind | undefined;

/** Opens the network that every `FakeAgent` made from now on sends through. */
export function openNetwork(now: () => number): FakeNetwork {
	const network: Behind = { events: [], now };
	current = network;
	return { takeEvents: () => network.events.splice(0) };
}

/** In the place of undici's `Agent`, by `vi.mock`. */
export class FakeAgent {
	readonly #network: Behind;

	constructor() {
		if (current === undefined) throw new Error("no network is open");
		this.#network = current;
	}

	dispatch(options: Dispatcher.DispatchOptions, handler: Dispatcher.DispatchHandler): boolean {
		const network = this.#network;
		const controller = {
			abort(error: Error & { readonly code?: string }) {
				network.events.push({ kind: "given up", request, atMs: network.now(), code: error.code ?? "" });
			},
		} as unknown as Dispatcher.DispatchController;
		const request: FakeRequest = {
			path: options.path,
			headers: options.headers as Readonly<Record<string, string>>,
			body: Buffer.from(options.body as Uint8Array).toString("utf8"),
			answer(status, headers = {}) {
				handler.onResponseStart?.(controller, status, headers, "");
				handler.onResponseEnd?.(controller, {});
			},
			break(code) {
				handler.onResponseError?.(controller, Object.assign(new Error(code), { code }));
			},
		};
		network.events.push({ kind: "sent", request, atMs: network.now() });
		handler.onRequestStart?.(controller, undefined);
		return true;
	}

	async close(): Promise<void> {}
	async destroy(): Promise<void> {}
}
