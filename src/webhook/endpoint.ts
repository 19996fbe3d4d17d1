import { z } from "zod";
import { CallhookError } from "../errors.ts";
import { createPattern } from "../event/index.ts";
import { parseSecret } from "../signature/index.ts";

/** What an endpoint is made from. */
export interface EndpointInput {
	/** Where to POST; `https` unless the bridge allows `http`. */
	readonly url: string;
	/** Patterns of the event types it gets, of those that the bridge forwards. */
	readonly events: readonly string[];
	readonly description?: string | undefined;
	/** `whsec_` and 24 to 64 bytes in base64. Default: 32 random bytes. */
	readonly secret?: string | undefined;
	/** At most so many requests at once from this process, 1 to 1,000. Default 4. */
	readonly concurrency?: number | undefined;
	/** Deadline of one attempt, 1 to 600,000. Default: the bridge's. */
	readonly timeoutMs?: number | undefined;
}

/** A registered receiver of webhooks. Its secret is shown by `create` only. */
export interface Endpoint {
	readonly id: string;
	readonly url: string;
	readonly events: readonly string[];
	readonly description?: string | undefined;
	readonly concurrency: number;
	readonly timeoutMs?: number | undefined;
	/** RFC 3339, UTC. */
	readonly createdAt: string;
}

/** An endpoint as the store keeps it. */
export interface EndpointDocument extends Endpoint {
	readonly secret: string;
}

/** The checked input, with its defaults. */
type EndpointFields = Omit<Endpoint, "id" | "createdAt"> & Pick<EndpointInput, "secret">;

const pattern = z.string().superRefine((text, context) => {
	try {
		createPattern(text, "endpoints.create()");
	} catch (error) {
		context.addIssue({ code: "custom", message: (error as Error).message });
	}
});

const secret = z.string().superRefine((text, context) => {
	try {
		parseSecret(text);
	} catch (error) {
		context.addIssue({ code: "custom", message: (error as Error).message });
	}
});

const endpointInput: z.ZodType<EndpointFields> = z.strictObject({
	url: z.url({ protocol: /^https?$/, error: "expected an http or https URL" }).max(2_048),
	events: z.array(pattern).min(1).max(200),
	description: z.string().max(1_000).optional(),
	secret: secret.optional(),
	concurrency: z.int().min(1).max(1_000).default(4),
	timeoutMs: z.number().min(1).max(600_000).optional(),
});

/** Checks an endpoint's fields; throws ERR_CALLHOOK_INVALID_ENDPOINT with an issue for each bad one. */
export function readEndpointInput(input: unknown): EndpointFields {
	const result = endpointInput.safeParse(input);
	if (result.success) return result.data;
	throw invalidEndpoint(
		result.error.issues.map(({ path, message }) => ({ path: path.map(String).join("."), message })),
	);
}

export function invalidEndpoint(
	issues: CallhookError<"ERR_CALLHOOK_INVALID_ENDPOINT">["details"]["issues"],
): Error {
	const list = issues.map(({ path, message }) => (path === "" ? message : `${path}: ${message}`)).join("; ");
	return new CallhookError("ERR_CALLHOOK_INVALID_ENDPOINT", `Invalid endpoint: ${list}`, { issues });
}

/** The endpoint without what only the store and the signer may see. */
export function showEndpoint({ secret: _, ...endpoint }: EndpointDocument): Endpoint {
	return endpoint;
}
