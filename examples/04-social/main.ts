import assert from "node:assert/strict";
import { createNetwork } from "./network.ts";
import { startTenants } from "./tenants.ts";

const tenants = await startTenants();
const { bus, bridge, bells, followers, words } = createNetwork(tenants.network);
const { endpoints } = bridge;

// What the tenants subscribe to. A filter is checked against the catalog: a path that no event has does not compile.
const everything = await endpoints.create({
	tenant: "acme",
	url: `${tenants.url}/acme/everything`,
	events: ["social.*"],
	where: { "data.of": "acme" },
	order: "endpoint",
});
const press = await endpoints.create({
	tenant: "acme",
	url: `${tenants.url}/acme/press`,
	events: ["social.mention"],
	where: { "data.of": "acme", "data.by.followers": { gte: 10_000 } },
	order: "endpoint",
});
const support = await endpoints.create({
	tenant: "globex",
	url: `${tenants.url}/globex/support`,
	events: ["social.mention", "social.comment"],
	where: {
		"data.of": "globex",
		"data.language": { in: ["de", "en"] },
		or: [{ type: "social.mention" }, { "data.stars": { lte: 2 } }],
	},
	order: "endpoint",
});
for (const endpoint of [everything, press, support]) tenants.open(endpoint);
// The server of this one is down. Nobody else notices.
const alerts = await endpoints.create({
	tenant: "initech",
	url: `${tenants.url}/initech/alerts`,
	events: ["social.follow"],
	where: { "data.of": { ne: "acme" } },
});

const ada = { name: "ada", followers: 52_000 };
const bob = { name: "bob", followers: 12 };
const eve = { name: "eve", followers: 900 };
bus.emit("social.follow", { by: ada, of: "acme" });
bus.emit("social.follow", { by: bob, of: "globex" });
bus.emit("social.follow", { by: eve, of: "acme" });
bus.emit("social.mention", { by: ada, of: "acme", text: "Rockets by @acme #rockets #space", language: "en" });
bus.emit("social.mention", { by: bob, of: "acme", text: "@acme war gut #rockets", language: "de" });
bus.emit("social.mention", { by: eve, of: "globex", text: "@globex どこ？", language: "ja" });
bus.emit("social.mention", { by: bob, of: "globex", text: "@globex help", language: "en" });
bus.emit("social.comment", { by: eve, of: "acme", text: "wow", language: "en", stars: 5 });
bus.emit("social.comment", { by: eve, of: "globex", text: "broken", language: "en", stars: 1 });
bus.emit("social.comment", { by: ada, of: "globex", text: "super", language: "de", stars: 5 });
await bus.idle();
await bridge.idle();

console.log("callbacks");
console.log(`  bells: ${show(bells)}`);
console.log(`  new followers: ${show(followers)}`);
console.log(`  words: ${show(words)}`);
for (const [path, inbox] of tenants.inboxes) {
	console.log(path.slice(1));
	for (const line of inbox) console.log(`  ${line}`);
}

// A tenant sees its own deliveries and nobody else's; the one whose server is down can have them again.
const { items: owned } = await endpoints.list({ tenant: "acme" });
assert.deepEqual(new Set(owned.map(({ id }) => id)), new Set([everything.id, press.id]));
const { items: dead } = await bridge.deliveries.list({ state: "dead" });
assert.deepEqual(
	dead.map(({ endpointId, attempts }) => [endpointId, attempts.length]),
	[[alerts.id, 3]],
);
assert.equal(tenants.refused(), 3);
console.log("initech/alerts is down: 1 dead after 3 attempts");
tenants.open(alerts);
await bridge.deliveries.redeliver({ endpointId: alerts.id });
await bridge.idle();
console.log(`  it is back: ${tenants.inboxes.get("/initech/alerts")?.join()}`);

assert.deepEqual(
	[...tenants.inboxes].map(([path, { length }]) => [path, length]),
	[
		["/acme/everything", 5],
		["/acme/press", 1],
		["/globex/support", 2],
		["/initech/alerts", 1],
	],
);
await bridge.stop();
await bus.close();
await tenants.close();

function show(counts: ReadonlyMap<string, number>): string {
	return [...counts].map(([name, count]) => `${name} ${count}`).join(", ");
}
