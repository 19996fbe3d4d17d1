import { createBus } from "callhook";
import { createReceiver, toNodeHandler } from "callhook/receiver";
import { startLocalServer } from "../local-server.ts";
import { events } from "./events.ts";

/** The servers of all tenants, on one port. Each endpoint has a path, a secret and an inbox. */
export async function startTenants() {
	const routes = new Map<string, ReturnType<typeof toNodeHandler>>();
	const inboxes = new Map<string, string[]>();
	let refused = 0;

	const server = await startLocalServer((request, response) => {
		const handle = routes.get(request.url ?? "");
		if (handle !== undefined) return handle(request, response);
		refused++;
		response.writeHead(503).end();
	});

	return {
		...server,
		inboxes,
		/** How many requests came for a path that nobody has opened. */
		refused: () => refused,
		/** Lets an endpoint in, under its own secret. */
		open({ url, secret }: { readonly url: string; readonly secret: string }): void {
			const path = new URL(url).pathname;
			const inbox: string[] = [];
			inboxes.set(path, inbox);
			const bus = createBus({ events });
			bus.on("social.*", ({ by, of }, { type }) =>
				inbox.push(`${type.slice("social.".length)} ${by.name}→${of}`),
			);
			routes.set(path, toNodeHandler(createReceiver({ secrets: secret, bus })));
		},
	};
}
