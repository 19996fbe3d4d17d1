import { once } from "node:events";
import { connect, createServer, type IncomingHttpHeaders, type IncomingHttpStatusHeader } from "node:http2";
import type { AddressInfo } from "node:net";
import { createReceiver, toFastifyPlugin, toNodeHandler } from "callhook/receiver";
import fastify from "fastify";
import { expect, onTestFinished, test, vi } from "vitest";
import { secret, signedHeaders, standingClock } from "../support/signed-request.ts";

const body = JSON.stringify({ type: "order.paid", timestamp: "2021-02-25T15:02:10Z", data: null });

function setup() {
	const emit = vi.fn();
	return { emit, receiver: createReceiver({ secrets: secret, bus: { emit }, clock: standingClock }) };
}

type Listener = Parameters<typeof createServer>[1];

async function listen(listener: Listener): Promise<number> {
	const server = createServer(listener).listen(0, "127.0.0.1");
	onTestFinished(() => void server.close());
	await once(server, "listening");
	return (server.address() as AddressInfo).port;
}

/** The status and the text that a request gets; it is not ended where it `goesOn`. */
async function post(port: number, path: string, headers: object = {}, goesOn = false) {
	const session = connect(`http://127.0.0.1:${port}`);
	onTestFinished(() => session.destroy());
	const stream = session.request({ ":method": "POST", ":path": path, ...signedHeaders(body), ...headers });
	if (goesOn) stream.write(body);
	else stream.end(body);
	const [answered] = (await once(stream, "response")) as [IncomingHttpHeaders & IncomingHttpStatusHeader];
	let text = "";
	stream.setEncoding("utf8").on("data", (part: string) => {
		text += part;
		if (goesOn) stream.end();
	});
	await once(stream, "end");
	return [answered[":status"], text];
}

test("toNodeHandler() - takes the requests of node:http2", async () => {
	const { emit, receiver } = setup();
	const port = await listen(toNodeHandler(receiver));
	expect(await post(port, "/hooks")).toEqual([204, ""]);
	expect(emit).toHaveBeenCalledTimes(1);
	expect(await post(port, "/hooks", { "webhook-id": "other" })).toEqual([
		401,
		'{"error":"ERR_CALLHOOK_SIGNATURE_MISMATCH"}',
	]);
});

test("toNodeHandler() - answers in HTTP/2 while the body is still on its way", async () => {
	const warn = vi.fn();
	process.on("warning", warn);
	onTestFinished(() => void process.off("warning", warn));
	const port = await listen(toNodeHandler(setup().receiver));
	expect(await post(port, "/hooks", { "content-type": "text/plain" }, true)).toEqual([
		415,
		'{"error":"UNSUPPORTED_MEDIA_TYPE"}',
	]);
	expect(warn).not.toHaveBeenCalled();
});

test("toFastifyPlugin() - in a Fastify with HTTP/2", async () => {
	const { emit, receiver } = setup();
	const app = fastify({ http2: true });
	onTestFinished(() => app.close());
	app.register(toFastifyPlugin(receiver), { prefix: "/hooks" });
	await app.listen({ port: 0, host: "127.0.0.1" });
	expect(await post((app.server.address() as AddressInfo).port, "/hooks")).toEqual([204, ""]);
	expect(emit).toHaveBeenCalledTimes(1);
});
