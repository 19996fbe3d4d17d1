/** A refusal: the status, and a code as the whole of the body, so that nothing of the program shows. */
export function refuse(status: number, error: string): Response {
	return Response.json({ error }, { status });
}

/** The answer to everything but POST, which is all the receiver allows. */
export function refuseMethod(): Response {
	return Response.json({ error: "METHOD_NOT_ALLOWED" }, { status: 405, headers: { allow: "POST" } });
}

/**
 * The answer when somebody read the body before the receiver. It alone explains itself: it is for the developer who
 * is wiring up the route, and who otherwise sees a signature that never matches.
 */
export function refuseReadBody(): Response {
	const message =
		"The body was read or decoded before the receiver got the request, most often by a JSON parser; the signature " +
		"covers its exact bytes. Put the receiver in front of the parser, or exclude this route from it.";
	return Response.json({ error: "ERR_CALLHOOK_INVALID_BODY", message }, { status: 500 });
}
