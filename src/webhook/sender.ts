import { setMaxListeners } from "node:events";
import { Agent, type Dispatcher } from "undici";
import { CallhookError } from "../errors.ts";
import type { Clock } from "../internal/clock.ts";
import type { ErrorClass } from "../outbox/ports.ts";
import type { AddressGuard } from "./address-guard.ts";
import { createAgentPool, type TlsMaterial } from "./agent-pool.ts";
import { createGuardedConnector } from "./guarded-connector.ts";
import { createProxyConnector, type EgressProxy } from "./proxy-connector.ts";
import { encodeRequestBody } from "./request-body.ts";
import { type BodyReader, createBodyReader } from "./response-body.ts";

/** One POST. */
export interface SendRequest {
	/** Default POST. */
	readonly method?: "POST" | "OPTIONS" | undefined;
	readonly origin: string;
	/** With the query. */
	readonly path: string;
	readonly headers: Readonly<Record<string, string>>;
	readonly body: Uint8Array;
	/** Compresses the body, where that makes it smaller; its signature is that of the body before. */
	readonly compress?: "gzip" | undefined;
	/** Requests with other material go over other connections. */
	readonly tls?: TlsMaterial | undefined;
	/** One deadline over DNS, the proxy, connecting, TLS, headers, the whole body and its decompression. */
	readonly timeoutMs: number;
}

/** What came back: a complete response, or why there was none. */
export type SendResult =
	| {
			readonly kind: "response";
			readonly status: number;
			/** Names in lower case; several of one name as one, with commas between them. */
			readonly headers: Readonly<Record<string, string>>;
			/** Its first 16 KiB, decompressed. */
			readonly body: string;
	  }
	| {
			readonly kind: "error";
			readonly error: Error & { readonly code?: string };
			/** Where nothing was sent, and the error cannot say so. Default: what its code says. */
			readonly errorClass?: ErrorClass | undefined;
	  };

/** Sends webhooks over guarded keep-alive connections. Never throws and never follows a redirect. */
export interface Sender {
	send(request: SendRequest): Promise<SendResult>;
	/** Ends every request under way with an error. */
	abort(): void;
	/** Closes all connections at once. */
	close(): Promise<void>;
}

const maxConnectTimeoutMs = 10_000;

/** With a `proxy` every connection goes through it, and it has to filter addresses. */
export function createSender(guard: AddressGuard, clock: Clock, proxy?: EgressProxy): Sender {
	const closing = new AbortController();
	// One listener for each socket is no leak.
	setMaxListeners(0, closing.signal);
	const agents = createAgentPool(clock, (tls) => {
		const limits = { connectTimeoutMs: maxConnectTimeoutMs, signal: closing.signal, tls };
		return new Agent({
			connect:
				proxy === undefined
					? createGuardedConnector(guard, limits)
					: createProxyConnector(guard, proxy, limits),
			maxHeaderSize: 16_384,
			// The deadline of each request covers both, to the millisecond; undici's own timers are half a second coarse.
			headersTimeout: 0,
			bodyTimeout: 0,
		});
	});
	const exchanges = new Set<Exchange>();
	return {
		send: (request) =>
			new Promise((resolve) => {
				const exchange = new Exchange(request.timeoutMs, clock, (result) => {
					exchanges.delete(exchange);
					resolve(result);
				});
				exchanges.add(exchange);
				const { origin, path, tls, method = "POST" } = request;
				const { body, encoding } = encodeRequestBody(request.body, request.compress);
				const headers =
					encoding === undefined ? request.headers : { ...request.headers, "content-encoding": encoding };
				// undici.request would add a stream and an AbortSignal to each request: 15 % of the throughput.
				agents.get(tls).dispatch({ origin, path, method, headers, body }, exchange);
			}),
		abort() {
			const error = new CallhookError("ERR_CALLHOOK_STOPPED", "The bridge was stopped", { what: "bridge" });
			for (const exchange of exchanges) exchange.cancel(error);
		},
		async close() {
			const closed = agents.close();
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
	#headers: Readonly<Record<string, string>> = {};
	#body: BodyReader | undefined;
	/** The whole response is there; its body may still be decompressed. */
	#isReceived = false;

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
		// Of early hints nothing is kept.
		if (this.#resolve === undefined || status < 200) return;
		this.#status = status;
		this.#headers = joinValues(headers);
		this.#body = createBodyReader(this.#headers["content-encoding"], (body) => this.#endWithResponse(body));
	}

	onResponseData(_controller: Dispatcher.DispatchController, chunk: Buffer): void {
		this.#body?.write(chunk);
	}

	onResponseEnd(): void {
		this.#isReceived = true;
		this.#body?.end();
	}

	onResponseError(_controller: Dispatcher.DispatchController, error: Error & { code?: string }): void {
		// A 204 has no body, and so it is complete, whatever length it tells of one: undici would have the body.
		const isComplete = this.#status === 204 && error.code === "UND_ERR_RES_CONTENT_LENGTH_MISMATCH";
		if (isComplete && this.#body !== undefined) this.onResponseEnd();
		else this.#end({ kind: "error", error });
	}

	#endWithResponse(body: string): void {
		const controller = this.#isReceived ? undefined : this.#controller;
		this.#end({ kind: "response", status: this.#status, headers: this.#headers, body });
		controller?.abort(new Error("response body is longer than is kept"));
	}

	#end(result: SendResult): void {
		const resolve = this.#resolve;
		if (resolve === undefined) return;
		this.#resolve = undefined;
		this.#controller = undefined;
		this.#body?.destroy();
		this.#body = undefined;
		this.#clock.clearTimeout(this.#timer);
		resolve(result);
	}
}

/** Several of one name as one; undici gives each response an object of its own. */
function joinValues(
	headers: Readonly<Record<string, string | string[] | undefined>>,
): Readonly<Record<string, string>> {
	for (const name of Object.keys(headers)) {
		if (typeof headers[name] !== "string") {
			return Object.fromEntries(
				Object.entries(headers).flatMap(([each, value]) =>
					value === undefined ? [] : [[each, typeof value === "string" ? value : value.join(", ")]],
				),
			);
		}
	}
	return headers as Readonly<Record<string, string>>;
}

function timeoutError(timeoutMs: number): CallhookError {
	return new CallhookError("ERR_CALLHOOK_TIMEOUT", `No complete response within ${timeoutMs} ms`, {
		timeoutMs,
	});
}
