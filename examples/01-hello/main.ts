import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { createBus, defineEvents, memoryStore } from "callhook";
import { createReceiver, toNodeHandler } from "callhook/receiver";
import { createWebhookBridge } from "callhook/webhook";
import { z } from "zod";

const events = defineEvents({ "user.created": z.object({ name: z.string() }) });
const app = createBus({ events, store: memoryStore() });
app.on("user.created", ({ name }) => console.log(`callback: ${name} is in the list`));
app.handle("user.*", async ({ name }) => console.log(`handler: ${name} gets a mail`), { concurrency: 4 });

// The other program. It has a bus of its own and knows this one by its webhooks only.
const crm = createBus({ events });
crm.on("user.created", ({ name }) => console.log(`webhook: ${name} is in the CRM`));
const server = createServer().listen(0, "127.0.0.1");
await once(server, "listening");
const { port } = server.address() as AddressInfo;

const network = { allow: [`127.0.0.1:${port}`], allowHttp: true };
const bridge = createWebhookBridge(app, { forward: ["user.created"], network });
const { secret } = await bridge.endpoints.create({ url: `http://127.0.0.1:${port}`, events: ["user.*"] });
server.on("request", toNodeHandler(createReceiver({ secrets: secret, bus: crm })));

const arrived = crm.waitFor("user.created", { timeoutMs: 10_000 });
const report = await app.emit("user.created", { name: "Ada" }).settled;
report.throwIfFailed(); // the callback and the handler have ended well
await arrived; // and the webhook is there
await bridge.stop();
await app.close();
server.close();
