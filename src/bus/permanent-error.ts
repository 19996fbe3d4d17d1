/**
 * An error that no retry can mend: thrown by a handler, it ends the attempts at once, whatever `retry` says. An error
 * of any other class does the same with a property `isPermanent: true`.
 *
 * @example
 * ```ts
 * bus.handle("order.paid", async (order) => {
 *   if (order.email === undefined) throw new PermanentError("The order has no e-mail address");
 *   await sendReceipt(order);
 * }, { retry: { attempts: 5 } });
 * ```
 */
export class PermanentError extends Error {
	override readonly name: string = "PermanentError";
	readonly isPermanent: boolean = true;
}

export function isPermanentError(error: unknown): boolean {
	return (
		typeof error === "object" && error !== null && (error as Partial<PermanentError>).isPermanent === true
	);
}
