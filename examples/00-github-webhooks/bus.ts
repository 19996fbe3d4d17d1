import { createBus, memoryStore } from "callhook";
import { githubEvents } from "./catalog.ts";

/** Creates the bus of the demo; whatever goes wrong on it and nobody awaits is told to `onError`. */
export function createGithubBus(onError: (error: unknown) => void) {
	return createBus({ events: githubEvents, source: "/github", store: memoryStore(), onError });
}

export type GithubBus = ReturnType<typeof createGithubBus>;
