import { createWebhookBridge } from "callhook/webhook";
import type { GithubBus } from "./bus.ts";
import { forwardedPatterns, refuseEvery } from "./plan.ts";
import type { Receiver } from "./receiver.ts";

/** Forwards some events of the bus to the receiver, as signed webhooks. */
export async function forwardTo(receiver: Receiver, bus: GithubBus) {
	const bridge = createWebhookBridge(bus, {
		forward: [...forwardedPatterns],
		retry: { delaysMs: [50, 200, 1_000], jitter: 0.2 },
		// Loopback is out of reach for webhooks, except for this one address and port.
		network: { allow: [`127.0.0.1/32:${receiver.port}`], allowHttp: true },
	});
	const endpoint = await bridge.endpoints.create({
		url: receiver.url,
		events: [...forwardedPatterns],
		concurrency: 16,
	});
	await receiver.open({ secret: endpoint.secret, refuseEvery });
	return bridge;
}
