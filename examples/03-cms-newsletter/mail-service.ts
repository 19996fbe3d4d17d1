import { createBus, PermanentError } from "callhook";
import { createReceiver } from "callhook/receiver";
import { mailEvents } from "./events.ts";

export const MAILS_AT_ONCE = 5;
export const RATE = { count: 25, perMs: 250 };

/** Sends a mail; the number of the attempt is for the log of the provider. */
export type SendMail = (mail: { to: string; subject: string }, attempt: number) => Promise<void>;

/** The service that makes of each published post a mail to every subscriber. */
export function createMailService(subscribers: readonly string[], send: SendMail) {
	// What is given up stands in the dead letters, which somebody looks through.
	const bus = createBus({ events: mailEvents, source: "/mail", onError: () => undefined });
	const campaigns = new Set<string>();

	bus.on("post.published", ({ title }, { id }) => {
		if (campaigns.has(id)) return; // a webhook may come twice
		campaigns.add(id);
		for (const to of subscribers) bus.emit("mail.wanted", { postId: id, to, subject: title });
	});

	const mails = bus.handle("mail.wanted", ({ to, subject }, { attempt }) => send({ to, subject }, attempt), {
		name: "mails",
		concurrency: MAILS_AT_ONCE, // the provider's limit of connections
		rateLimit: RATE, // and of mails
		key: ({ to }) => to, // posts reach everybody in order
		retry: { attempts: 3, minDelayMs: 20 },
	});

	return {
		bus,
		mails,
		/** Answers as soon as the mails are queued. */
		receive: (secret: string) => createReceiver({ secrets: secret, bus }),
		async bounced(): Promise<string[]> {
			const { items } = await bus.deadLetters.list({ handler: "mails" });
			return items.map(({ event }) => (event.data as { to: string }).to).sort();
		},
	};
}

/** What the provider says of an address that does not exist: no use in trying again. */
export class Bounced extends PermanentError {}
