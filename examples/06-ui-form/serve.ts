import { readFileSync } from "node:fs";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { type LocalServer, startLocalServer } from "../local-server.ts";

export interface FormServer extends LocalServer {
	/** The bodies that the subscription service got. */
	readonly received: readonly string[];
}

/** Serves the form with its script, bundled for browsers, and a subscription service whose first answer is 503. */
export async function serveForm(script = new URL("page.ts", import.meta.url)): Promise<FormServer> {
	const { outputFiles } = await build({
		entryPoints: [fileURLToPath(script)],
		bundle: true,
		platform: "browser",
		format: "esm",
		write: false,
		tsconfig: fileURLToPath(new URL("../../tsconfig.json", import.meta.url)),
	});
	const received: string[] = [];
	const server = await startLocalServer(async (request, response) => {
		if (request.url === "/subscriptions") {
			const body = await text(request);
			received.push(body);
			if (received.length === 1) return void response.writeHead(503).end();
			const { email } = JSON.parse(body) as { email: string };
			response.writeHead(200, { "content-type": "application/json" });
			return void response.end(JSON.stringify({ id: "sub_1", email }));
		}
		const isScript = request.url === "/page.js";
		response.writeHead(200, { "content-type": isScript ? "text/javascript" : "text/html" });
		response.end(isScript ? outputFiles[0]?.contents : readFileSync(new URL("index.html", import.meta.url)));
	});
	return { ...server, received };
}
