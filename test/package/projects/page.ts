// A page that has a bus and receives webhooks, as a service worker might.
import { createBus, defineEvents, isCallhookError } from "callhook";
import { createReceiver } from "callhook/receiver";
import { z } from "zod";

const events = defineEvents({ "order.paid": z.object({ orderId: z.string() }) });

async function smoke(secret: string, headers: Record<string, string>, body: string) {
	const seen: string[] = [];
	const bus = createBus({ events });
	bus.on("order.*", (order) => seen.push(`callback ${order.orderId}`));
	bus.handle("order.paid", async (order) => void seen.push(`handler ${order.orderId}`));
	const receiver = createReceiver({ secrets: secret, bus });
	const receive = async (sent: string) => {
		const request = new Request(location.href, { method: "POST", headers, body: sent });
		return (await receiver.fetch(request)).status;
	};
	const statuses = [await receive(`${body} `), await receive(body)];
	await bus.idle();
	let code: string | undefined;
	try {
		bus.emit("order.paid", JSON.parse("{}"));
	} catch (error) {
		if (isCallhookError(error)) code = error.code;
	}
	return { seen, statuses, code };
}

Object.assign(globalThis, { smoke });
