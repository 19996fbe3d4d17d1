// The shop's first day, which ends with a crash. main.ts starts it with the path of the database.
import { openShop } from "./shop.ts";

const shop = openShop(process.argv[2] as string);

await shop.placeOrder("o_1", 400, () => console.log("o_1 is committed"));
await shop.bus.idle();

try {
	await shop.placeOrder("o_2", 4_000, () => console.log("o_2 is committed"));
} catch (error) {
	console.log(`o_2 is rolled back: ${(error as Error).message}`);
}
await shop.bus.idle();

await shop.placeOrder("o_3", 300, () => {
	console.log("o_3 is committed, and the process dies on the next line");
	process.kill(process.pid, "SIGKILL");
});
