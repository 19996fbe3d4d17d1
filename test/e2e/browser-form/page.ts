// The example's page, and what its test tries besides: streams, waiting and time work in a browser as well.
import { bus } from "../../../examples/06-ui-form/page.ts";

Object.assign(globalThis, {
	async tryTheRest() {
		const early = bus.hold();
		const held = early.emit("form.refused", { reason: "held" });
		const next = bus.waitFor("form.refused", { timeoutMs: 5_000 });
		const stream = bus.stream("form.*", { buffer: 10 });
		early.release();
		bus.emit("form.refused", { reason: "late" }, { delayMs: 5 });
		const seen: string[] = [];
		for await (const event of stream) {
			seen.push((event.data as { reason: string }).reason);
			if (seen.length === 2) break;
		}
		const { state } = await held.settled;
		const { isDrained } = await bus.drain();
		return { waited: (await next).data, seen, state, isDrained };
	},
});
