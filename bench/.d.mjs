import { fork } from "node:child_process"; import { once } from "node:events"; import { createBus, memoryStore } from "callhook"; import { createWebhookBridge } from "callhook/webhook";
const r = fork("bench/receiver-process.ts", { execArgv: ["--import", "tsx"] }); const [port] = await once(r, "message");
const bus = createBus({ store: memoryStore() }); const bridge = createWebhookBridge(bus, { forward: ["order.*"], concurrency: 64, network: { allow: [`127.0.0.1/32:${port}`], allowHttp: true } });
await bridge.endpoints.create({ url: `http://127.0.0.1:${port}/`, events: ["order.*"], concurrency: 64 });
const data = { orderId: "o_1", note: "x".repeat(950) };
for (let k=0;k<8;k++) { const t=performance.now(), c=process.cpuUsage(); for (let i=0;i<4000;i++) bus.emit("order.paid", data); const te=performance.now(); await bridge.idle(); const u=process.cpuUsage(c); console.log(((performance.now()-t)/4).toFixed(1)+"µs wall", ((u.user+u.system)/4000).toFixed(1)+"µs cpu", "emit", ((te-t)/4).toFixed(1)); }
r.disconnect(); await bridge.stop(); process.exit();
