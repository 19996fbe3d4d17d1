// A form whose parts know each other only through events: a click becomes an event, a callback validates, a handler
// submits, a callback shows what came of it.
import { createBus } from "callhook";

type Events = {
	"form.submitted": { email: string };
	"form.refused": { reason: string };
	"subscription.made": { id: string; email: string };
};

const element = (id: string) => document.getElementById(id) as HTMLElement;
const bus = createBus<Events & { "form.accepted": { email: string } }>({ source: "/form" });

bus.on("form.submitted", ({ email }) => {
	if (email.includes("@")) bus.emit("form.accepted", { email });
	else bus.emit("form.refused", { reason: `"${email}" is no e-mail address` });
});

bus.handle(
	"form.accepted",
	async ({ email }, { signal }) => {
		const response = await fetch("/subscriptions", {
			method: "POST",
			body: JSON.stringify({ email }),
			signal,
		});
		if (!response.ok) throw new Error(`status ${response.status}`);
		bus.emit("subscription.made", (await response.json()) as Events["subscription.made"]);
	},
	{ concurrency: 1, timeoutMs: 5_000, retry: { attempts: 3, minDelayMs: 1, maxDelayMs: 5 } },
);

bus.on("form.refused", ({ reason }) => {
	element("problem").textContent = reason;
});
bus.on("subscription.*", ({ id, email }, event) => {
	element("problem").textContent = "";
	element("result").textContent = `${event.type} ${id} for ${email}`;
});

element("form").addEventListener("submit", (event) => {
	event.preventDefault();
	bus.emit("form.submitted", { email: (element("email") as HTMLInputElement).value });
});

// For the test: streams, waiting and time work here as well.
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
