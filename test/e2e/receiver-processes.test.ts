import { fork } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { expect, onTestFinished, test } from "vitest";
import { dropSchema, findServer, freshSchema, serverPool } from "../support/postgres.ts";
import { signedRequest } from "../support/signed-request.ts";
import type { FromProcess } from "./receiver-process.ts";

const server = await findServer();
const event = { type: "order.paid", timestamp: "2021-02-25T15:02:10Z", data: {} };

/** A receiver in another process; `ran` collects what it ran. */
async function start(schema: string, ran: string[]): Promise<number> {
	const child = fork(fileURLToPath(new URL("receiver-process.ts", import.meta.url)), [schema], {
		cwd: fileURLToPath(new URL("../..", import.meta.url)),
		execArgv: ["--import", "tsx"],
		stdio: ["ignore", "ignore", "inherit", "ipc"],
	});
	onTestFinished(async () => {
		const exited = once(child, "exit");
		child.kill("SIGKILL");
		await exited;
	});
	const [first] = (await once(child, "message")) as [FromProcess];
	child.on("message", (message: FromProcess) => message.kind === "ran" && ran.push(message.id));
	return first.kind === "listening" ? first.port : 0;
}

async function send(port: number, id: string): Promise<number> {
	const request = signedRequest(event, { id });
	const { headers } = request;
	const body = await request.text();
	const response = await fetch(`http://127.0.0.1:${port}/`, { method: "POST", headers, body });
	await response.arrayBuffer();
	return response.status;
}

test.runIf(server !== undefined)(
	"the same message sent 50 times in parallel to two processes runs once",
	async () => {
		const schema = freshSchema();
		const pool = serverPool({ max: 1 });
		onTestFinished(async () => {
			await dropSchema(pool, schema);
			await pool.end();
		});
		const ran: string[] = [];
		const ports = await Promise.all([start(schema, ran), start(schema, ran)]);
		const sendAll = (id: string) =>
			Promise.all(Array.from({ length: 50 }, (_, index) => send(ports[index % 2] as number, id)));
		for (const id of ["msg_1", "msg_2", "msg_3"]) {
			const statuses = await sendAll(id);
			expect(statuses.filter((status) => status === 204)).toHaveLength(1);
			expect(statuses.filter((status) => ![200, 204, 503].includes(status))).toEqual([]);
			expect(await sendAll(id)).toEqual(Array.from({ length: 50 }, () => 200));
		}
		// Messages of a process arrive in order: behind these, nothing of the others is on its way.
		expect(await Promise.all(ports.map((port, index) => send(port, `last_${index}`)))).toEqual([204, 204]);
		await expect.poll(() => ran.filter((id) => id.startsWith("last_")).length).toBe(2);
		expect(ran.filter((id) => id.startsWith("msg_"))).toEqual(["msg_1", "msg_2", "msg_3"]);
	},
	60_000,
);
