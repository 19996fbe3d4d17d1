import type { IncomingMessage, ServerResponse } from "node:http";
import { answer } from "./node-handler.ts";
import type { Receiver } from "./receiver.ts";

/** What is used of a Fastify instance. */
export interface FastifyScope {
	removeAllContentTypeParsers(): void;
	addContentTypeParser(
		type: string,
		parser: (request: never, payload: never, done: FastifyDone) => void,
	): unknown;
	route(route: {
		readonly method: string[];
		readonly url: string;
		readonly handler: (request: FastifyRequestLike, reply: FastifyReplyLike) => void;
	}): unknown;
}

type FastifyDone = (error: Error | null, body?: unknown) => void;
interface FastifyRequestLike {
	readonly raw: IncomingMessage;
	readonly body: unknown;
}
interface FastifyReplyLike {
	readonly raw: ServerResponse;
	hijack(): unknown;
}

const fastifyFix =
	"Fastify: register toFastifyPlugin(receiver) in a scope of its own, in front of plugins whose hooks read bodies.";

/**
 * Makes a plugin for Fastify 5 with one route, in whose scope no parser touches the body.
 *
 * @example
 * ```ts
 * app.register(toFastifyPlugin(receiver), { prefix: "/webhooks" });
 * ```
 */
export function toFastifyPlugin(receiver: Receiver): (scope: FastifyScope) => Promise<void> {
	// A function with one parameter is a plugin whose promise Fastify waits for.
	return async (scope) => {
		scope.removeAllContentTypeParsers();
		// Left in the stream, which the receiver reads within its own limits.
		scope.addContentTypeParser("*", (_request, _payload, done) => done(null));
		scope.route({
			method: ["POST", "OPTIONS"],
			url: "/",
			handler(request, reply) {
				reply.hijack();
				answer(receiver, request.raw, reply.raw, { body: request.body, fix: fastifyFix });
			},
		});
	};
}

/** What is used of the context of Koa. */
export interface KoaContext {
	readonly req: IncomingMessage;
	readonly res: ServerResponse;
	/** With a `body`, where a parser has been at work. */
	readonly request: object;
	respond?: boolean | undefined;
}

const koaFix =
	"Koa: mount toKoaMiddleware(receiver) in front of koa-bodyparser, or exclude this path from the parser.";

/**
 * Makes a middleware for Koa, to be mounted at its path and in front of any body parser.
 *
 * @example
 * ```ts
 * router.post("/webhooks", toKoaMiddleware(receiver));
 * ```
 */
export function toKoaMiddleware(receiver: Receiver): (context: KoaContext) => void {
	return (context) => {
		// The answer is written here, not by Koa.
		context.respond = false;
		const { body } = context.request as { readonly body?: unknown };
		answer(receiver, context.req, context.res, { body, fix: koaFix });
	};
}
