import http, { type RequestListener } from "node:http";
import type { Socket } from "node:net";
import { expect, onTestFinished } from "vitest";
import { fakeClock } from "../../src/testing/index.ts";
import { type AddressGuardOptions, createAddressGuard } from "../../src/webhook/address-guard.ts";
import { createSender, type SendRequest, type SendResult } from "../../src/webhook/sender.ts";
import { type Listener, listen, listenRawTcp } from "./listener.ts";

export const timeoutMs = 15_000;

/** A sender on a clock that stands still, which may call loopback; afterwards it holds no timer and no socket. */
export function setupSender(network: AddressGuardOptions = {}, listeners: readonly Listener[] = []) {
	const clock = fakeClock();
	const guard = createAddressGuard({
		allow: ["127.0.0.1/32"],
		allowHttp: true,
		lookup: () => Promise.reject(new Error("unexpected lookup")),
		...network,
	});
	const sender = createSender(guard, clock);
	onTestFinished(async () => {
		await sender.close();
		for (const listener of listeners) await listener.quiet();
		expect(clock.timers).toBe(0);
	});
	return { clock, sender };
}

export function post(url: string, more: Partial<SendRequest> = {}): SendRequest {
	const { origin, pathname, search } = new URL(url);
	return { origin, path: `${pathname}${search}`, headers: {}, body: Buffer.from("{}"), timeoutMs, ...more };
}

export async function serve(answer: RequestListener, network?: AddressGuardOptions) {
	const listener = await listen(http.createServer(answer));
	return { ...setupSender(network, [listener]), listener, url: `http://127.0.0.1:${listener.port}/` };
}

export async function serveRaw(answer: (socket: Socket) => void) {
	const listener = await listenRawTcp(answer);
	return { ...setupSender({}, [listener]), listener, url: `http://127.0.0.1:${listener.port}/` };
}

export function responseOf(result: SendResult) {
	if (result.kind === "error") throw new Error("expected a response", { cause: result.error });
	return { status: result.status, body: result.body };
}

/** The code of an error; its name where it has none, as in undici's HTTPParserError. */
export function codeOf(result: SendResult): string {
	if (result.kind === "error") return result.error.code ?? result.error.name;
	throw new Error(`expected an error, but got status ${result.status}`);
}

/** Writes without end, as fast as the other side takes it, until the connection is gone. */
export function writeForever(socket: Socket, text: string): void {
	socket.on("drain", write);
	write();
	function write(): void {
		while (!socket.destroyed && socket.write(text)) {
			// Until the buffers are full.
		}
	}
}

/**
 * Writes without end, a little in each turn of the event loop, or each `everyMs` milliseconds, until the connection is gone.
 */
export function drip(
	socket: Socket,
	text: string,
	onTwentieth: () => void,
	everyMs?: number,
	drops = 1,
): void {
	if (socket.destroyed) return;
	socket.write(text);
	if (drops === 20) onTwentieth();
	const next = (): void => drip(socket, text, onTwentieth, everyMs, drops + 1);
	if (everyMs === undefined) setImmediate(next);
	else setTimeout(next, everyMs);
}
