import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import { toNodeHandler } from "callhook/receiver";
import { startLocalServer } from "../local-server.ts";
import { createCms } from "./cms.ts";
import { Bounced, createMailService, MAILS_AT_ONCE, RATE } from "./mail-service.ts";

const subscribers = Array.from({ length: 60 }, (_, index) => `reader${index + 1}@example.com`);

// The mail provider: one address is gone, another one is busy at first.
const sent: string[] = [];
let [sending, mostSending] = [0, 0];
const service = createMailService(subscribers, async ({ to, subject }, attempt) => {
	mostSending = Math.max(mostSending, ++sending);
	await sleep(5);
	sending--;
	if (to === "reader7@example.com") throw new Bounced("550 no such mailbox");
	if (to === "reader8@example.com" && attempt === 1) throw new Error("450 try again later");
	sent.push(`${subject} to ${to}`);
});

// The secret is known once the CMS has registered the service, so the route comes behind the server.
let handle: ReturnType<typeof toNodeHandler> = (_request, response) => response.writeHead(503).end();
const server = await startLocalServer((request, response) => handle(request, response));
const cms = createCms(server.network);
const { secret } = await cms.bridge.endpoints.create({
	url: `${server.url}/posts`,
	events: ["post.published"],
});
handle = toNodeHandler(service.receive(secret));

const startedAt = performance.now();
const campaignBegins = service.bus.waitFor("post.published", { timeoutMs: 10_000 });
cms.save("hello", "Hello");
cms.save("hello", "Hello, world");
cms.publish("hello", "Hello, world");
const { data } = await campaignBegins;
console.log(`mail: a campaign for "${data.title}", ${service.mails.size + service.mails.pending} mails`);
await cms.close();
await service.bus.drain();
const tookMs = performance.now() - startedAt;

const { succeeded, failed, retried } = service.mails.stats();
console.log(`mail: ${succeeded} sent, ${retried} of them at the second attempt, ${failed} given up`);
console.log(`mail: bounced: ${(await service.bounced()).join(" ")}`);
assert.equal(new Set(sent).size, subscribers.length - 1);
assert.equal(sent.length, subscribers.length - 1);

assert(mostSending <= MAILS_AT_ONCE, `${mostSending} at once`);
console.log(`mail: never more than ${MAILS_AT_ONCE} at once`);
// 61 attempts, of which 25 may start at once, 25 more after 250 ms and the rest after 500 ms.
const leastMs = (Math.ceil((succeeded + failed + retried) / RATE.count) - 1) * RATE.perMs;
assert(tookMs >= leastMs, `${tookMs} ms`);
console.log(`mail: ${RATE.count} in any ${RATE.perMs} ms, so it took ${leastMs} ms or more`);

await service.bus.close();
await server.close();
