// The import rules of the tree, each with its reason. Unit tests beside the source are exempt from the folder rules.

const test = "\\.test\\.ts$";
const errors = "^src/errors\\.ts$";
const internal = "^src/internal/";
const door = (folder) => `^src/${folder}/index\\.ts$`;
const outboxPort = "^src/outbox/ports\\.ts$";
const verifyDoor = "^src/signature/verify\\.ts$";
const npm = (name) => `^node_modules/${name}/`;
const nodeModule = (name) => `^(node:)?${name}$`;

/**
 * What a part of `src` may import, beside its own files, and why no more: `may` freely, `types` as types only,
 * node: modules when `node` is true. Everything else is refused, npm packages and node: modules too.
 */
const parts = [
	{
		name: "front-door",
		path: "^src/index\\.ts$",
		why: "The entry `callhook` is the core: it bundles for the browser and holds no webhook code.",
		may: [errors, internal, door("event"), door("lanes"), door("outbox"), door("bus"), door("stores/memory")],
		types: [outboxPort],
	},
	{
		name: "node-only",
		path: "^src/node-only\\.ts$",
		why: "It stands in for what a browser cannot have, so it brings nothing.",
		may: [],
	},
	{
		name: "errors",
		path: errors,
		why: "Every part imports the errors, so they import nothing.",
		may: [],
	},
	{
		name: "internal",
		path: internal,
		why: "Leaves: every part builds on them, so they build on the errors alone. `uuid` is used only here.",
		may: [errors, npm("uuid")],
	},
	{
		name: "event",
		path: "^src/event/",
		why: "What happened does not know who consumes it. It runs in browsers (no node: module) and with any Standard Schema (zod as types only).",
		may: [errors, internal],
		types: [npm("zod")],
	},
	{
		name: "lanes",
		path: "^src/lanes/",
		why: "One mechanism limits handlers and endpoints, so it knows neither. `p-queue` is used only here; no node: module (browsers).",
		may: [errors, internal, npm("p-queue")],
	},
	{
		name: "outbox",
		path: "^src/outbox/",
		why: "The outbox knows targets, not what they are: bus, webhook and stores build on it. No node: module (browsers).",
		may: [errors, internal, door("event"), door("lanes")],
	},
	{
		name: "bus",
		path: "^src/bus/",
		why: "The bus works without a store and without webhooks, so it imports neither. `eventemitter3` is used only here; no node: module (browsers).",
		may: [errors, internal, door("event"), door("lanes"), door("outbox"), outboxPort, npm("eventemitter3")],
	},
	{
		name: "store-memory",
		path: "^src/stores/memory/",
		why: "A store fills the port: it knows no other store, and nothing that stands behind the port. No node: module (browsers).",
		may: [errors, internal, door("event")],
		types: [outboxPort],
	},
	{
		name: "store-sqlite",
		path: "^src/stores/sqlite/",
		why: "A store fills the port: it knows no other store, and nothing that stands behind the port. The drivers are loaded when they are needed, since Node may lack the one and the user the other.",
		may: [errors, internal, nodeModule("(fs|module|zlib)")],
		types: [outboxPort],
	},
	{
		name: "store-postgres",
		path: "^src/stores/postgres/",
		why: "A store fills the port: it knows no other store, and nothing that stands behind the port. The application brings the pool, so `pg` is not imported, not even its types. Keys that are too long for an index are hashed.",
		may: [errors, internal, nodeModule("timers/promises"), nodeModule("crypto")],
		types: [outboxPort],
	},
	{
		name: "signature",
		path: "^src/signature/(?!(sign|signing-secrets|key-pair)\\.ts$)",
		why: "Verifying uses WebCrypto, so that a receiver runs where there are no node: modules.",
		may: [errors, internal, "^src/signature/"],
	},
	{
		name: "signature-sign",
		path: "^src/signature/(sign|signing-secrets|key-pair)\\.ts$",
		why: "Signing is the hot path of a delivery: node:crypto, which is synchronous and makes key pairs, and no other node: module.",
		may: [errors, internal, "^src/signature/", nodeModule("crypto")],
	},
	{
		name: "webhook",
		path: "^src/webhook/",
		why: "The bridge is given a bus and reaches its outbox through `bus.outbox`, so it needs no more of the bus than types.",
		may: [
			errors,
			internal,
			door("event"),
			door("lanes"),
			door("outbox"),
			outboxPort,
			door("signature"),
			npm("undici"),
			npm("ipaddr\\.js"),
			npm("zod"),
		],
		types: [door("bus")],
		node: true,
	},
	{
		name: "receiver",
		path: "^src/receiver/",
		why: "A receiver is given a bus and runs on workers, Bun and Deno too: of the bus, the outbox, node:http and node:http2 it sees types only, and of the signatures the verifying half, whose door leads to no node: module.",
		may: [errors, internal, door("event"), verifyDoor],
		types: [door("bus"), door("outbox"), outboxPort, nodeModule("http"), nodeModule("http2")],
	},
	{
		name: "diagnostics",
		path: "^src/diagnostics/",
		why: "The core knows no node: module; what publishes its signals on one is an entry of its own.",
		may: [door("bus"), nodeModule("diagnostics_channel")],
	},
	{
		name: "testing",
		path: "^src/testing/",
		why: "The test kit uses what users use: any folder, through its door. The contract suite reports with node:assert.",
		may: [errors, internal, "^src/.*index\\.ts$", outboxPort, nodeModule("assert/strict")],
	},
];

const partRules = parts.flatMap(({ name, path, why, may, types = [], node = false }) => [
	{
		name: `${name}-imports`,
		comment: why,
		severity: "error",
		from: { path, pathNot: test },
		to: { pathNot: [path, ...may, ...types], ...(node ? { dependencyTypesNot: ["core"] } : {}) },
	},
	...types.map((type) => ({
		name: `${name}-types-only`,
		comment: why,
		severity: "error",
		from: { path, pathNot: test },
		to: { path: type, dependencyTypesNot: ["type-only"] },
	})),
]);

module.exports = {
	forbidden: [
		...partRules,
		{
			name: "part-without-rules",
			comment: "A new folder starts with an entry in `parts` above: what it may import, and why no more.",
			severity: "error",
			from: { path: "^src/", pathNot: [test, ...parts.map(({ path }) => path)] },
			to: {},
		},
		{
			name: "only-through-the-door",
			comment:
				"index.ts (of the outbox also ports.ts, of the signatures verify.ts) says what others may rely on; what is behind it may change. Internal has no door: each of its files is a leaf. Tests may look behind doors.",
			severity: "error",
			from: { path: "^(src/stores/[^/]+/|src/[^/]+/|(?!src/)[^/]+/)", pathNot: [test, "^test/"] },
			to: {
				path: "^src/.+/",
				pathNot: ["^$1", internal, door("[^/]+"), door("stores/[^/]+"), outboxPort, verifyDoor],
			},
		},
		{
			name: "own-door-is-for-others",
			comment: "A file that imports its own folder's index.ts loads the whole folder and closes a cycle.",
			severity: "error",
			from: { path: "^src/(stores/[^/]+|[^/]+)/", pathNot: test },
			to: { path: "^src/$1/index\\.ts$" },
		},
		{
			name: "testing-is-for-tests",
			comment: "The test kit must not become part of what a program ships.",
			severity: "error",
			from: { pathNot: ["^src/testing/", "^test/", test] },
			to: { path: "^src/testing/" },
		},
		{
			name: "no-cycles",
			comment: "Modules in a cycle can be neither understood nor tested nor loaded one by one.",
			severity: "error",
			from: {},
			to: { circular: true },
		},
		{
			name: "no-undeclared",
			comment: "An import that is not in package.json, or leads nowhere, works by accident or not at all.",
			severity: "error",
			from: {},
			// An optional peer stands in peerDependenciesMeta too, a list that depcruise does not know: npm-no-pkg.
			to: {
				dependencyTypes: ["npm-no-pkg", "npm-unknown", "unknown", "undetermined"],
				dependencyTypesNot: ["npm-dev"],
			},
		},
	],
	options: {
		doNotFollow: { path: "node_modules" },
		tsPreCompilationDeps: true,
		tsConfig: { fileName: "tsconfig.json" },
		enhancedResolveOptions: { exportsFields: ["exports"], conditionNames: ["import", "types", "default"] },
	},
};
