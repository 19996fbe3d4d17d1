import { CallhookError, type DataIssue } from "../errors.ts";
import { isThenable } from "../internal/deferred.ts";
import { didYouMean } from "../internal/did-you-mean.ts";
import { checkFunction, checkNumber, checkOptions, describe, invalidOption } from "../internal/options.ts";
import { checkSynchronous } from "../internal/thenable.ts";
import { checkName, isEventType } from "./pattern.ts";
import type { InputOf, OutputOf, Schema, SchemaIssue } from "./schema.ts";

/** An event type with more than a schema. */
export interface EventDefinition<S extends Schema = Schema> {
	/** Validates and transforms the data; must answer synchronously. */
	readonly schema: S;
	/** For people who read the catalog. */
	readonly description?: string | undefined;
	/** Data as `emit` takes it, for people who read the catalog; each must satisfy the schema. */
	readonly examples?: readonly InputOf<S>[] | undefined;
	/** The default `event.key` of this type, from its validated data. */
	readonly key?: ((data: OutputOf<S>) => string) | undefined;
	/** Counts the changes of the schema that old data does not satisfy. Default 1. */
	readonly version?: number | undefined;
	/**
	 * How data of an older version becomes data of the next: `{ 1: (old) => … }` makes version 2 of version 1. For events
	 * that the outbox kept while the application was updated, and for received ones.
	 */
	readonly upcast?: Readonly<Record<number, (old: never) => unknown>> | undefined;
	/** So many of its last events are kept in memory, for callbacks that ask for a `replay`. Default 0. */
	readonly retain?: number | undefined;
}

/** The event types of an application and their schemas; made by {@link defineEvents}. */
export interface Catalog<Events = unknown, Inputs = unknown> {
	/** Every type, in the order of definition. */
	readonly types: readonly string[];
	/** The definition of a type, or `undefined`. */
	get(type: string): EventDefinition | undefined;
	/**
	 * Validates data against the schema of its type and returns the schema's output. Throws
	 * ERR_CALLHOOK_UNKNOWN_EVENT_TYPE, ERR_CALLHOOK_INVALID_DATA or ERR_CALLHOOK_ASYNC_SCHEMA.
	 */
	parse(type: string, data: unknown): unknown;
	/** @internal Carries the types; never there at run time. */
	readonly $types?: { readonly events: Events; readonly inputs: Inputs };
}

/**
 * Defines the event types of an application, each with a Standard Schema (zod and others) or with a definition
 * that adds a description and a default key.
 *
 * Throws ERR_CALLHOOK_MISSING_NAME or ERR_CALLHOOK_INVALID_EVENT_TYPE for a bad name and
 * ERR_CALLHOOK_INVALID_OPTION for a definition that cannot work.
 *
 * @example
 * ```ts
 * const events = defineEvents({
 *   "order.paid": z.object({ orderId: z.string(), total: z.number().int() }),
 *   "order.shipped": { schema: z.object({ orderId: z.string() }), key: (order) => order.orderId },
 * });
 * ```
 */
export function defineEvents<const Schemas extends Record<string, Schema>>(
	definitions: {
		readonly [Type in keyof Schemas]: Schemas[Type] | EventDefinition<Schemas[Type]>;
	},
): Catalog<
	{ [Type in keyof Schemas]: OutputOf<Schemas[Type]> },
	{ [Type in keyof Schemas]: InputOf<Schemas[Type]> }
> {
	if (typeof definitions !== "object" || definitions === null) {
		throw invalidOption("events", "an object of event types and their schemas", definitions);
	}
	const byType = new Map<string, EventDefinition>();
	for (const [type, definition] of Object.entries<unknown>(definitions)) {
		checkName(type, "defineEvents()");
		if (!isEventType(type)) throw invalidEventType(type, "defineEvents()");
		byType.set(type, readDefinition(type, definition));
	}
	const types = Object.freeze([...byType.keys()]);
	return {
		types,
		get: (type) => byType.get(type),
		parse(type, data) {
			const definition = byType.get(type);
			if (definition === undefined) throw unknownEventType(type, types);
			return validate(type, definition.schema, data);
		},
	};
}

export function invalidEventType(type: string, where: string): CallhookError {
	return new CallhookError(
		"ERR_CALLHOOK_INVALID_EVENT_TYPE",
		`${where} got "${type}", which is not an event type: expected segments of letters, digits, "_" and "-", separated by single dots`,
		{ type },
	);
}

export function unknownEventType(type: string, known: readonly string[]): CallhookError {
	return new CallhookError(
		"ERR_CALLHOOK_UNKNOWN_EVENT_TYPE",
		`The catalog has no event type "${type}"; it has ${listTypes(known)}${didYouMean(type, known)}`,
		{ type, known },
	);
}

/** The first of the types there are, for messages. */
export function listTypes(types: readonly string[]): string {
	const shown = types.slice(0, 8).join(", ") || "none";
	return types.length <= 8 ? shown : `${shown} and ${types.length - 8} more`;
}

function readDefinition(type: string, definition: unknown): EventDefinition {
	if (isSchema(definition)) return { schema: definition };
	const option = `events["${type}"]`;
	if (typeof definition !== "object" || definition === null || !("schema" in definition)) {
		throw invalidOption(option, "a Standard Schema or an object with one as its schema", definition);
	}
	checkOptions(option, definition, [
		"schema",
		"description",
		"examples",
		"key",
		"version",
		"upcast",
		"retain",
	]);
	const { schema, key, retain } = definition as EventDefinition;
	if (!isSchema(schema)) throw invalidOption(`${option}.schema`, "a Standard Schema", schema);
	checkFunction(`${option}.key`, key);
	checkNumber(`${option}.retain`, retain, { min: 0, max: 100_000 });
	checkVersions(option, definition as EventDefinition);
	checkExamples(type, option, definition as EventDefinition);
	return { ...(definition as EventDefinition) };
}

/** An example that is out of date must not outlive the change of the schema. */
function checkExamples(type: string, option: string, { schema, examples = [] }: EventDefinition): void {
	if (!Array.isArray(examples)) throw invalidOption(`${option}.examples`, "an array", examples);
	for (const [index, example] of examples.entries()) {
		try {
			validate(type, schema, example);
		} catch (error) {
			const reason = (error as Error).message;
			throw invalidOption(
				`${option}.examples[${index}]`,
				`data that its schema accepts (${reason})`,
				example,
			);
		}
	}
}

/** Each older version needs a step to the next, or events that wait in the outbox could never be read. */
function checkVersions(option: string, { version = 1, upcast = {} }: EventDefinition): void {
	checkNumber(`${option}.version`, version, { min: 1, max: 1_000_000 });
	checkOptions(`${option}.upcast`, upcast, Object.keys(upcast));
	for (const [from, step] of Object.entries(upcast)) {
		checkFunction(`${option}.upcast[${from}]`, step);
		if (!/^[1-9]\d*$/u.test(from) || Number(from) >= version) {
			throw invalidOption(`${option}.upcast`, `keyed by versions before ${version}`, from);
		}
	}
}

/**
 * Reads data that was written as JSON, maybe by an older version of the application: brings it up to date and validates
 * it. Throws ERR_CALLHOOK_INVALID_DATA.
 */
export function readBack(
	type: string,
	definition: EventDefinition | undefined,
	data: unknown,
	version = 1,
): unknown {
	if (definition === undefined) return data;
	const upToDate = upcastData(type, definition, data, version);
	return validate(type, definition.schema, readNull(type, definition, upToDate));
}

/**
 * JSON has no `undefined`: an event without data is written as null. Gives `undefined` for a null that the schema takes
 * only so, and all other data as they are.
 */
export function readNull(type: string, definition: EventDefinition | undefined, data: unknown): unknown {
	if (data !== null || definition === undefined) return data;
	const { schema } = definition;
	return !isValid(type, schema, null) && isValid(type, schema, undefined) ? undefined : null;
}

function isValid(type: string, schema: Schema, data: unknown): boolean {
	try {
		validate(type, schema, data);
		return true;
	} catch {
		return false;
	}
}

/** Makes data of an older version that of the current one, not validated. Throws ERR_CALLHOOK_INVALID_DATA. */
export function upcastData(
	type: string,
	definition: EventDefinition | undefined,
	data: unknown,
	version: number,
): unknown {
	if (definition === undefined) return data;
	const { version: current = 1, upcast } = definition;
	if (version > current) {
		throw unreadable(type, `it has version ${version}, and this application knows ${current}`);
	}
	let upToDate = data;
	for (let from = version; from < current; from++) {
		const step = upcast?.[from] as ((old: unknown) => unknown) | undefined;
		if (step === undefined) throw unreadable(type, `there is no upcast from version ${from}`);
		upToDate = checkSynchronous(`events["${type}"].upcast[${from}]`, step(upToDate));
	}
	return upToDate;
}

function unreadable(type: string, reason: string): CallhookError {
	const issues = [{ path: "", message: reason }];
	return new CallhookError("ERR_CALLHOOK_INVALID_DATA", `Invalid data for "${type}": ${reason}`, {
		type,
		issues,
	});
}

function isSchema(value: unknown): value is Schema {
	if ((typeof value !== "object" && typeof value !== "function") || value === null) return false;
	const standard = (value as Partial<Schema>)["~standard"];
	return typeof standard === "object" && standard !== null && typeof standard.validate === "function";
}

/** Validates data against one schema, synchronously. */
export function validate(type: string, schema: Schema, data: unknown): unknown {
	const result = runSchema(type, schema, data);
	if (isThenable(result)) {
		// Nobody will read it: without this its rejection would end the process.
		Promise.resolve(result).catch(() => undefined);
		throw new CallhookError(
			"ERR_CALLHOOK_ASYNC_SCHEMA",
			`The schema of "${type}" is asynchronous; emit() validates before it returns and needs a synchronous one`,
			{ type },
		);
	}
	if (typeof result !== "object" || result === null) throw brokenSchema(type, `answered ${describe(result)}`);
	if (result.issues === undefined) return result.value;
	if (!Array.isArray(result.issues)) throw brokenSchema(type, `gave ${describe(result.issues)} as issues`);
	const issues = readIssues(type, result.issues);
	const list = issues.slice(0, 3).map(({ path, message }) => (path === "" ? message : `${path}: ${message}`));
	if (issues.length > 3) list.push(`and ${issues.length - 3} more`);
	throw new CallhookError("ERR_CALLHOOK_INVALID_DATA", `Invalid data for "${type}": ${list.join("; ")}`, {
		type,
		issues,
	});
}

function runSchema(type: string, schema: Schema, data: unknown): ReturnType<Schema["~standard"]["validate"]> {
	try {
		return schema["~standard"].validate(data);
	} catch (cause) {
		throw brokenSchema(type, `threw ${describe(cause)}`, cause);
	}
}

function brokenSchema(type: string, fault: string, cause?: unknown): CallhookError {
	const issues = [{ path: "", message: `its schema ${fault}` }];
	const message = `Invalid data for "${type}": its schema ${fault}`;
	return new CallhookError("ERR_CALLHOOK_INVALID_DATA", message, { type, issues }, { cause });
}

function readIssues(type: string, issues: readonly SchemaIssue[]): DataIssue[] {
	try {
		return issues.map(({ path = [], message }) => {
			const segments = path.map((segment) =>
				String(typeof segment === "object" && segment !== null ? segment.key : segment),
			);
			return { path: segments.join("."), message: String(message) };
		});
	} catch (cause) {
		throw brokenSchema(type, "gave an issue that cannot be read", cause);
	}
}
