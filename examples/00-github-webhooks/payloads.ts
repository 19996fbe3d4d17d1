import { createRequire } from "node:module";

/** One real webhook of GitHub, ready to be emitted. */
export interface GithubPayload {
	/** `github.<event>`, or `github.<event>.<action>` where the payload has an action. */
	readonly type: string;
	readonly data: Readonly<Record<string, unknown>>;
	/** Full name of the repository it is about, where there is one. */
	readonly repository?: string;
}

interface WebhookDefinition {
	name: string;
	examples: ({ action?: string; repository?: { full_name: string } } & Record<string, unknown>)[];
}

const EXPECTED_COUNT = 329;
const require = createRequire(import.meta.url);

/**
 * The example payloads of `@octokit/webhooks-examples`, in the order of its file.
 *
 * @throws Error when the installed package holds another number of payloads than this demo was written for.
 */
export function loadPayloads(): readonly GithubPayload[] {
	const definitions: WebhookDefinition[] = require("@octokit/webhooks-examples");
	const payloads = definitions.flatMap(({ name, examples }) =>
		examples.map((data): GithubPayload => {
			const type = data.action === undefined ? `github.${name}` : `github.${name}.${data.action}`;
			return data.repository === undefined
				? { type, data }
				: { type, data, repository: data.repository.full_name };
		}),
	);
	if (payloads.length !== EXPECTED_COUNT) {
		throw new Error(
			`Expected ${EXPECTED_COUNT} example payloads, @octokit/webhooks-examples has ${payloads.length}.`,
		);
	}
	return payloads;
}
