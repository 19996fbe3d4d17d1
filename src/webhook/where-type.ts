/** A value that a content filter compares with. */
export type WhereScalar = string | number | boolean | null;

/**
 * A content filter of an endpoint; plain JSON. A key is a path, such as `"data.total"`, `"data.items.0.sku"`,
 * `"metadata.region"`, `"type"`, `"key"`, `"subject"`, `"source"` or `"time"`, or one of `and`, `or` and `not`. All keys
 * of an object must hold. What may stand at a path: {@link WhereCondition}.
 *
 * Paths follow own properties only. A name that holds a dot cannot be reached.
 */
export type Where = WhereOf<unknown>;

/** A {@link Where} for events with this data: the compiler knows its paths and what may be compared with. */
export type WhereOf<Data, Type extends string = string> = WhereData<Data> & {
	readonly type?: WhereCondition<Type>;
	readonly key?: WhereCondition<string>;
	readonly subject?: WhereCondition<string>;
	readonly source?: WhereCondition<string>;
	readonly time?: WhereCondition<string>;
	readonly [path: `metadata.${string}`]: WhereCondition;
	/** All of them hold. */
	readonly and?: readonly WhereOf<Data, Type>[];
	/** At least one of them holds. */
	readonly or?: readonly WhereOf<Data, Type>[];
	/** It does not hold. */
	readonly not?: WhereOf<Data, Type>;
};

/** What must hold of a value: that it equals a scalar, with no conversion, or all of the operators in an object. */
export type WhereCondition<Scalar extends WhereScalar = WhereScalar> = Scalar | WhereOperators<Scalar>;

/**
 * The operators of a condition; all that are given must hold. A value that is missing satisfies only `exists: false`,
 * `ne` and `nin`. `null` is a value.
 */
export type WhereOperators<Scalar extends WhereScalar = WhereScalar> = {
	/** Whether there is a value. */
	readonly exists?: boolean;
} & ([Scalar] extends [never] ? unknown : EqualityOperators<Scalar>) &
	([Extract<Scalar, string | number>] extends [never] ? unknown : OrderOperators<Scalar>) &
	([Extract<Scalar, string>] extends [never] ? unknown : TextOperators);

interface EqualityOperators<Scalar> {
	readonly eq?: Scalar;
	readonly ne?: Scalar;
	/** Equals one of at most 1,000. */
	readonly in?: readonly Scalar[];
	/** Equals none of at most 1,000. */
	readonly nin?: readonly Scalar[];
}

/** Numbers are compared with numbers, texts with texts by code point; a value of another kind does not match. */
interface OrderOperators<Scalar> {
	readonly gt?: Ordered<Scalar>;
	readonly gte?: Ordered<Scalar>;
	readonly lt?: Ordered<Scalar>;
	readonly lte?: Ordered<Scalar>;
}

interface TextOperators {
	readonly prefix?: string;
	readonly suffix?: string;
}

/** Also what is none of the possible values may be a bound. */
type Ordered<Scalar> = Scalar extends string ? string : Scalar extends number ? number : never;

/** A condition for each path into the data; one that several payloads of a union have takes what any of them allows. */
type WhereData<Data> = {
	readonly [Each in PathOf<Data, "data"> as Each["path"]]?: WhereCondition<ScalarOf<Each["value"]>>;
};

interface DataPath<Path extends string, Value> {
	readonly path: Path;
	readonly value: Value;
}

/**
 * The objects on the way to a value. Below five of them, and inside a type that is inside itself, any path is accepted:
 * a type that branches into itself would take the compiler seconds.
 */
type Way = readonly unknown[];

/** Compared for identity, since a type may well extend one that it is inside. */
interface Exactly<in out Value> {
	readonly same: (value: Value) => Value;
}

/** A value and all that is inside it, each with its path. */
type PathOf<Value, Path extends string, Passed extends Way = []> =
	IsUnknown<Value> extends true
		? AnyPath<Path>
		: DataPath<Path, Value> | InnerPathOf<JsonOf<Value>, Path, Passed>;

type AnyPath<Path extends string> = DataPath<Path | `${Path}.${string}`, WhereScalar>;

/** Distributes over the members of a union. */
type InnerPathOf<Value, Path extends string, Passed extends Way> = Value extends
	| WhereScalar
	| NotInJson
	| ReadonlyMap<unknown, unknown>
	| ReadonlySet<unknown>
	? never
	: Passed["length"] extends 5
		? AnyPath<Path>
		: Exactly<Value> extends Passed[number]
			? AnyPath<Path>
			: Value extends readonly (infer Item)[]
				? ItemPathOf<Item, Path, [...Passed, Exactly<Value>]>
				: [keyof Value] extends [never]
					? AnyPath<Path>
					:
							| FieldPathOf<Value, Path, [...Passed, Exactly<Value>]>
							| RecordPathOf<Value, Path, [...Passed, Exactly<Value>]>;

type NotInJson = undefined | bigint | symbol | ((...args: never) => unknown);

/** `${number}` also stands for "0.1", the path into a list in a list: there any path is accepted. */
type ItemPathOf<Item, Path extends string, Passed extends Way> = [
	Extract<JsonOf<Item>, readonly unknown[]>,
] extends [never]
	? PathOf<Item, `${Path}.${number}`, Passed>
	: AnyPath<Path>;

type FieldPathOf<Value, Path extends string, Passed extends Way> = {
	[Key in NamedKeyOf<Value>]: [Exclude<Value[Key], NotInJson>] extends [never]
		? never
		: PathOf<Value[Key], `${Path}.${Key & (string | number)}`, Passed>;
}[NamedKeyOf<Value>];

/** The keys that are no index signatures. */
type NamedKeyOf<Value> = keyof {
	[Key in keyof Value as Key extends symbol
		? never
		: string extends Key
			? never
			: number extends Key
				? never
				: Key]: 1;
} &
	keyof Value;

/** `${string}` also stands for paths into the values of a record: where those have any, all are accepted. */
type RecordPathOf<Value, Path extends string, Passed extends Way> =
	Value extends Readonly<Record<string, infer Item>>
		? string extends keyof Value
			? [InnerPathOf<JsonOf<Item>, Path, Passed>] extends [never]
				? PathOf<Item, `${Path}.${string}`, Passed>
				: AnyPath<Path>
			: never
		: Value extends Readonly<Record<number, infer Item>>
			? number extends keyof Value
				? ItemPathOf<Item, Path, Passed>
				: never
			: never;

type IsUnknown<Value> = unknown extends Value ? true : false;

/** What JSON makes of it: a Date becomes a text. */
type JsonOf<Value> = Value extends { toJSON(...args: never): infer Json } ? Json : Value;

/** The scalars among the values, as the JSON of an event has them. */
type ScalarOf<Value> = PlainScalar<Extract<JsonOf<Value>, WhereScalar>>;

/** A brand, which is an object to the compiler, is no part of JSON; a member of an enum is its value there. */
type PlainScalar<Scalar> = Scalar extends string
	? Scalar extends object
		? string
		: Scalar | `${Scalar}`
	: Scalar extends number
		? Scalar extends object
			? number
			: Scalar
		: Scalar extends WhereScalar
			? Scalar
			: never;
