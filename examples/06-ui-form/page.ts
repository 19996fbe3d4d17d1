// A form whose parts know each other only through events: a click becomes an event, a callback validates, a handler
// submits, a callback shows what came of it.
import { createBus } from "callhook";

type Events = {
	"form.submitted": { email: string };
	"form.cleared": undefined;
	"form.refused": { reason: string };
	"form.accepted": { email: string };
	"subscription.made": { id: string; email: string };
};

export const bus = createBus<Events>({ source: "/form" });

const find = (id: string) => document.getElementById(id) as HTMLElement;
const email = find("email") as HTMLInputElement;

// From the page to the bus.
find("form").addEventListener("submit", (event) => {
	event.preventDefault();
	bus.emit("form.submitted", { email: email.value });
});
find("clear").addEventListener("click", () => bus.emit("form.cleared"));

// What happens then.
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
	// One at a time, however often somebody clicks.
	{ concurrency: 1, timeoutMs: 5_000, retry: { attempts: 3, minDelayMs: 100, maxDelayMs: 500 } },
);

// From the bus to the page.
bus.on("form.refused", ({ reason }) => {
	find("problem").textContent = reason;
});
bus.on("subscription.*", ({ id, email }, event) => {
	find("problem").textContent = "";
	find("result").textContent = `${event.type} ${id} for ${email}`;
});
bus.on("form.cleared", () => {
	email.value = "";
	for (const id of ["problem", "result"]) find(id).textContent = "";
});
