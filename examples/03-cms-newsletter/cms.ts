import { createBus, memoryStore } from "callhook";
import { createWebhookBridge } from "callhook/webhook";
import type { LocalServer } from "../local-server.ts";
import { cmsEvents } from "./events.ts";

/** A CMS that knows of the e-mail service no more than a URL. */
export function createCms(network: LocalServer["network"]) {
	const bus = createBus({ events: cmsEvents, source: "/cms", store: memoryStore() });
	const bridge = createWebhookBridge(bus, {
		forward: ["post.published"],
		network,
		retry: { delaysMs: [100, 500] },
	});

	bus.on("post.*", ({ slug }, { type }) => console.log(`cms: ${type} ${slug}`));

	return {
		bridge,
		save: (slug: string, title: string) => bus.emit("post.saved", { slug, title }),
		publish: (slug: string, title: string) => bus.emit("post.published", { slug, title }),
		async close(): Promise<void> {
			await bridge.idle();
			await bus.drain();
			await bridge.stop();
			await bus.close();
		},
	};
}
