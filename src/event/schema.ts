/**
 * Any validator that follows the Standard Schema specification, version 1: zod, valibot, arktype and others.
 * Only the fields Callhook reads. Source: https://standardschema.dev
 */
export interface Schema<Input = unknown, Output = Input> {
	readonly "~standard": {
		readonly version: 1;
		readonly validate: (value: unknown) => SchemaResult<Output> | Promise<SchemaResult<Output>>;
		readonly types?: { readonly input: Input; readonly output: Output } | undefined;
	};
}

type SchemaResult<Output> =
	| { readonly value: Output; readonly issues?: undefined }
	| { readonly issues: readonly SchemaIssue[] };

/** One fault as a Standard Schema reports it. */
export interface SchemaIssue {
	readonly message: string;
	readonly path?: readonly (PropertyKey | { readonly key: PropertyKey })[] | undefined;
}

/** What `emit` takes for a schema. */
export type InputOf<S> = S extends Schema<infer Input, unknown> ? Input : never;

/** What consumers get for a schema. */
export type OutputOf<S> = S extends {
	readonly "~standard": { readonly types?: { readonly output: infer Output } | undefined };
}
	? Output
	: never;
