import { once } from "node:events";
import net, { type AddressInfo } from "node:net";
import { onTestFinished } from "vitest";

/** A server on loopback, watched by the test that started it. */
export interface Listener {
	readonly port: number;
	/** How many connections reached it until now; the one that this call makes to find out is not counted. */
	connections(): Promise<number>;
	/** Resolves once no connection is open. */
	quiet(): Promise<void>;
}

/** Starts a server on a free port of 127.0.0.1; it ends with the test. */
export async function listen(server: net.Server): Promise<Listener> {
	const open = new Set<net.Socket>();
	const clientPorts: (number | undefined)[] = [];
	server.on("connection", (socket) => {
		open.add(socket.on("error", () => {}));
		socket.on("close", () => open.delete(socket));
		clientPorts.push(socket.remotePort);
	});
	await once(server.listen(0, "127.0.0.1"), "listening");
	onTestFinished(async () => {
		for (const socket of open) socket.destroy();
		await new Promise((resolve) => server.close(resolve));
	});
	const { port } = server.address() as AddressInfo;
	return {
		port,
		connections: async () => {
			// Connections are accepted in order: when this one has arrived, so has every earlier one.
			const probe = net.connect(port, "127.0.0.1").on("error", () => {});
			await once(probe, "connect");
			while (!clientPorts.includes(probe.localPort)) await once(server, "connection");
			clientPorts.splice(clientPorts.indexOf(probe.localPort), 1);
			probe.destroy();
			return clientPorts.length;
		},
		quiet: async () => {
			for (const socket of open) await new Promise((resolve) => socket.once("close", resolve));
		},
	};
}

/** A server that speaks raw TCP: `answer` runs when the first bytes of a request are there. */
export function listenRawTcp(answer: (socket: net.Socket) => void): Promise<Listener> {
	return listen(net.createServer((socket) => socket.once("data", () => answer(socket))));
}

/** A port of 127.0.0.1 on which nothing listens. */
export async function closedPort(): Promise<number> {
	const server = net.createServer();
	await once(server.listen(0, "127.0.0.1"), "listening");
	const { port } = server.address() as AddressInfo;
	await new Promise((resolve) => server.close(resolve));
	return port;
}
