import { fork } from "node:child_process"; import { once } from "node:events";
import { createSender } from "../src/webhook/sender.ts"; import { createAddressGuard } from "../src/webhook/address-guard.ts"; import { systemClock } from "../src/internal/clock.ts"; import { createSigner } from "../src/signature/index.ts"; import { createId } from "../src/internal/id.ts";
import { createBus, memoryStore } from "../src/index.ts";
const r = fork("bench/receiver-process.ts", { execArgv: ["--import", "tsx"] }); const [port] = await once(r, "message") as [number];
const sender = createSender(createAddressGuard({ allow: [`127.0.0.1/32:${port}`], allowHttp: true }), systemClock);
const signer = createSigner("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"); const url = new URL(`http://127.0.0.1:${port}/`);
const data = { orderId: "o_1", note: "x".repeat(950) };
async function post() { const id = createId("evt"); const now = Date.now(); const body = Buffer.from(`{"type":"order.paid","timestamp":"${new Date(now).toISOString()}","data":${JSON.stringify(data)}}`); const ts = Math.floor(now/1000);
 const res = await sender.send({ url, headers: { "content-type": "application/json", "user-agent": "callhook", "webhook-id": id, "webhook-timestamp": String(ts), "webhook-signature": signer.sign(id, ts, body) }, body, timeoutMs: 15000 }); if (res.kind !== "response") throw new Error("x"); }
async function timed(name: string, n: number, f: () => Promise<void>) { let best=1e9, bc=1e9; for (let k=0;k<40;k++) { const c=process.cpuUsage(), t=performance.now(); await f(); const u=process.cpuUsage(c); best=Math.min(best,(performance.now()-t)*1000/n); bc=Math.min(bc,(u.user+u.system)/n) } console.log(name, best.toFixed(1), "µs wall", bc.toFixed(1), "µs cpu"); }

// pipeline without http
const bus = createBus<any>({ store: memoryStore() }); 
bus.outbox!.register({ name: "r", accepts: ["order.*"], concurrency: 16, concurrencyOf: () => 16, run: async () => ({ to: { state: "routed", deliveries: [{ group: "w", target: "ep" }] } }), abort() {} });
const w = bus.outbox!.register({ name: "w", accepts: [], concurrency: 64, concurrencyOf: () => 64, run: async (c) => { await new Promise<void>(r => setImmediate(r)); return { to: { state: "delivered" }, attempt: { number: c.attempt, startedAt: "", durationMs: 1, outcome: "delivered" } } }, abort() {} });
await timed("outbox only", 4000, async () => { for (let i=0;i<4000;i++) bus.emit("order.paid", data); await w.idle(); });
process.exit();
