/** A refusal: the status, and a code as the whole of the body, so that nothing of the program shows. */
export function refuse(status: number, error: string, headers: Record<string, string> = {}): Response {
	return Response.json({ error }, { status, headers });
}

/** The answer of `inline` when the time is up. */
export function refuseUnfinished(): Response {
	return refuse(503, "STILL_RUNNING", { "retry-after": "5" });
}

/** The answer to every method but those that the receiver allows. */
export function refuseMethod(allow = "POST"): Response {
	return refuse(405, "METHOD_NOT_ALLOWED", { allow });
}

/** Taken and done with. The answer to what is not emitted, and should not come again either. */
export function accept(): Response {
	return new Response(null, { status: 204 });
}

/** Taken and left aside: an answer of success, so that the sender does not try again, and why in the sender's log. */
export function leaveAside(ignored: string): Response {
	return Response.json({ ignored }, { status: 200 });
}

/**
 * The answer when somebody read the body before the receiver. It alone explains itself: it is for the developer who
 * is wiring up the route, and who otherwise sees a signature that never matches.
 */
export function refuseReadBody(
	fix = "Put the receiver in front of the parser, or exclude this route from it; in Fastify register toFastifyPlugin(receiver).",
): Response {
	const message = `The body was read or decoded before the receiver got the request, most often by a JSON parser; the signature covers its exact bytes. ${fix}`;
	return Response.json({ error: "ERR_CALLHOOK_INVALID_BODY", message }, { status: 500 });
}
