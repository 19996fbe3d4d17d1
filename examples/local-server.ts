import { once } from "node:events";
import { createServer, type RequestListener } from "node:http";
import type { AddressInfo } from "node:net";

/** A server on a free port of the loopback address: the part of the outside world that an example needs. */
export interface LocalServer {
	readonly url: string;
	readonly port: number;
	/** What a bridge needs to be allowed to call it. */
	readonly network: { readonly allow: readonly string[]; readonly allowHttp: true };
	close(): Promise<void>;
}

export async function startLocalServer(listener: RequestListener): Promise<LocalServer> {
	const server = createServer(listener).listen(0, "127.0.0.1");
	await once(server, "listening");
	const { port } = server.address() as AddressInfo;
	return {
		url: `http://127.0.0.1:${port}`,
		port,
		network: { allow: [`127.0.0.1:${port}`], allowHttp: true },
		close: async () => {
			const closed = once(server, "close");
			server.close();
			server.closeAllConnections();
			await closed;
		},
	};
}
