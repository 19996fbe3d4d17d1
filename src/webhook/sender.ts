import { Agent, type Dispatcher } from "undici";
import { CallhookError } from "../errors.ts";
import type { Clock } from "../internal/clock.ts";
import type { AddressGuard } from "./address-guard.ts";
import { createGuardedConnector } from "./guarded-connector.ts";

/** One POST. */
export interface SendRequest {
	readonly origin: string;
	/** With the query. */
	readonly path: string;
	readonly headers: Readonly<Record<string, string>>;
	readonly body: Uint8Array;
	/** One deadline over DNS, connecting, TLS, headers and the whole body. */
	readonly timeoutMs: number;
}

/** What came back: a complete response, or why there was none. */
export type SendResult =
	| { readonly kind: "response"; readonly status: number; readonly body: string }
	| { readonly kind: "error"; readonly error: Error & { readonly code?: string } };

/** Sends webhooks over guarded keep-alive connections. Never throws and never follows a redirect. */
export interface Sender {
	send(request: SendRequest): Promise<SendResult>;
	/** Ends every request under way with an error. */
	abort(): void;
	/** Closes all connections at once. */
	close(): Promise<void>;
}

// What is kept of a response. Reading stops there, so an endless body costs no memory and no time.
const maxBodyBytes = 16_384;
const maxConnectTimeoutMs = 10_000;
// A socket stays with the address it was vetted for; ageing it makes DNS changes count. undici's `clientTtl` would read
// the clock for each socket on each request: with 64 of them a tenth of all work.
const maxAgentAgeMs = 300_000;

export function createSender(guard: AddressGuard, clock: Clock): Sender {
	const closing = new AbortController();
	/** The agent in use, last, and those that only end what they have. */
	const agents = new Set<Agent>();
	let agent = openAgent();
	let agentAtMs = clock.now();

	function openAgent(): Agent {
		const opened = new Agent({
			connect: createGuardedConnector(guard, {
				connectTimeoutMs: maxConnectTimeoutMs,
				signal: closing.signal,
			}),
			maxHeaderSize: 16_384,
			// The deadline of each request covers both, to the millisecond; undici's own timers are half a second coarse.
			headersTimeout: 0,
			bodyTimeout: 0,
		});
		agents.add(opened);
		return opened;
	}

	function currentAgent(): Agent {
		const nowMs = clock.now();
		if (nowMs - agentAtMs < maxAgentAgeMs) return agent;
		const retired = agent;
		void retired.close().then(() => agents.delete(retired));
		agent = openAgent();
		agentAtMs = nowMs;
		return agent;
	}

	const exchanges = new Set<Exchange>();
	return {
		send: (request) =>
			new Promise((resolve) => {
				const exchange = new Exchange(request.timeoutMs, clock, (result) => {
					exchanges.delete(exchange);
					resolve(result);
				});
				exchanges.add(exchange);
				const { origin, path, headers, body } = request;
				// undici.request would add a stream and an AbortSignal to each request: 15 % of the throughput.
				currentAgent().dispatch({ origin, path, method: "POST", headers, body }, exchange);
			}),
		abort() {
			const error = new CallhookError("ERR_CALLHOOK_STOPPED", "The bridge was stopped", { what: "bridge" });
			for (const exchange of exchanges) exchange.cancel(error);
		},
		async close() {
			const closed = Promise.all([...agents].map((opened) => opened.destroy()));
			closing.abort();
			await closed;
		},
	};
}

/** One request under way. Whatever happens first decides its result. */
class Exchange implements Dispatcher.DispatchHandler {
	readonly #clock: Clock;
	#resolve: ((result: SendResult) => void) | undefined;
	readonly #timer: unknown;
	#controller: Dispatcher.DispatchController | undefined;
	#status = 0;
	#isBodyText = true;
	#chunks: Buffer[] = [];
	#bytes = 0;

	constructor(timeoutMs: number, clock: Clock, resolve: (result: SendResult) => void) {
		this.#clock = clock;
		this.#resolve = resolve;
		this.#timer = clock.setTimeout(() => this.cancel(timeoutError(timeoutMs)), timeoutMs);
	}

	/** Ends the request with an error, wherever it is. */
	cancel(error: Error): void {
		const controller = this.#controller;
		this.#end({ kind: "error", error });
		controller?.abort(error);
	}

	onRequestStart(controller: Dispatcher.DispatchController): void {
		this.#controller = controller;
		// Cancelled while it waited for a connection, which undici offers no way to say.
		if (this.#resolve === undefined) controller.abort(new Error("cancelled"));
	}

	onResponseStart(
		_controller: Dispatcher.DispatchController,
		status: number,
		headers: Readonly<Record<string, string | string[] | undefined>>,
	): void {
		this.#status = status;
		// Nothing was asked to be compressed; what is all the same would be kept as noise.
		this.#isBodyText = (headers["content-encoding"] ?? "identity") === "identity";
	}

	onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
		if (this.#resolve === undefined) return;
		this.#chunks.push(chunk.subarray(0, maxBodyBytes - this.#bytes));
		this.#bytes += chunk.length;
		if (this.#bytes < maxBodyBytes) return;
		this.#endWithResponse();
		controller.abort(new Error("response body is longer than is kept"));
	}

	onResponseEnd(): void {
		this.#endWithResponse();
	}

	onResponseError(_controller: Dispatcher.DispatchController, error: Error): void {
		this.#end({ kind: "error", error });
	}

	#endWithResponse(): void {
		const body = this.#isBodyText ? Buffer.concat(this.#chunks).toString("utf8") : "";
		this.#end({ kind: "response", status: this.#status, body });
	}

	#end(result: SendResult): void {
		const resolve = this.#resolve;
		if (resolve === undefined) return;
		this.#resolve = undefined;
		this.#controller = undefined;
		this.#chunks = [];
		this.#clock.clearTimeout(this.#timer);
		resolve(result);
	}
}

function timeoutError(timeoutMs: number): CallhookError {
	return new CallhookError("ERR_CALLHOOK_TIMEOUT", `No complete response within ${timeoutMs} ms`, {
		timeoutMs,
	});
}
