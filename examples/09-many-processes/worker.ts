// One of the workers. main.ts starts three of them, with the schema as their argument.
import { openOrders } from "./orders.ts";

const { pool, stop } = openOrders({ schema: process.argv[2] as string, deliver: true });
// Told to stop, or left alone.
process.once("disconnect", async () => {
	await stop();
	await pool.end();
	process.exit(0);
});
