import { createBus, memoryStore } from "callhook";
import { createWebhookBridge } from "callhook/webhook";
import type { LocalServer } from "../local-server.ts";
import { events } from "./events.ts";

/** The social network: what its own parts do with an event are callbacks, what its customers do are webhooks. */
export function createNetwork(network: LocalServer["network"]) {
	const bus = createBus({ events, source: "/social", store: memoryStore() });
	const bridge = createWebhookBridge(bus, { forward: ["social.*"], network, retry: { delaysMs: [20, 40] } });

	const followers = new Map<string, number>();
	bus.on("social.follow", ({ of }) => followers.set(of, (followers.get(of) ?? 0) + 1));

	const bells = new Map<string, number>();
	bus.on("social.*", ({ of }) => bells.set(of, (bells.get(of) ?? 0) + 1));

	const words = new Map<string, number>();
	bus.on("social.mention", ({ text }) => {
		for (const [tag] of text.matchAll(/#\w+/g)) words.set(tag, (words.get(tag) ?? 0) + 1);
	});

	return { bus, bridge, followers, bells, words };
}
