// A receiver in a process of its own: answers 204 to every POST and counts them, but where its path says otherwise.
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";

const slowMs = 2_000;

let received = 0;
const server = createServer((request, response) => {
	request.resume();
	request.on("end", () => {
		received++;
		if (request.url === "/hang") return;
		if (request.url === "/slow") setTimeout(() => response.writeHead(204).end(), slowMs);
		else response.writeHead(request.url === "/fail" ? 500 : 204).end();
	});
});
server.keepAliveTimeout = 60_000;
server.listen(0, "127.0.0.1", () => process.send?.((server.address() as AddressInfo).port));
process.on("message", () => process.send?.(received));
process.on("disconnect", () => process.exit());
