// Makes docs/reference/options.md from the interfaces of all options and their comments:
// `node docs/reference/generate-options.mjs`. With --print it writes the page to stdout instead.
import ts from "typescript";
import { findInterface, readComment, readTag, readType, toCell, writePage } from "./typescript-source.mjs";

const intro = `# Options

<!-- Made by docs/reference/generate-options.mjs from the interfaces in src/: edit their comments, then run it. -->

An option that is unknown, or whose value cannot work, is never ignored: it throws, as a rule with
\`ERR_CALLHOOK_INVALID_OPTION\`. \`undefined\` is the same as leaving it out. Names that end in \`Ms\` are milliseconds.
\`createTestBus\` takes the options of \`createBus\`.
`;

// In the order of the page. `of` is the interface, `method` the one whose parameter has them, `like` an interface whose
// members of the same name say what is meant, `also` one that it extends, `note` a sentence to add, `default` and
// `defaults` what the comments do not say.
const sections = [
	{ title: "createBus(options)", path: "bus/bus-options.ts", of: "BusOptions" },
	{ title: "defineEvents({ type: definition })", path: "event/catalog.ts", of: "EventDefinition" },
	{ title: "bus.on(pattern, callback, options)", path: "bus/bus.ts", of: "OnOptions" },
	{ title: "bus.handle(pattern, handler, options)", path: "bus/handler-options.ts", of: "HandleOptions" },
	{ title: "handle: retry", path: "bus/handler-options.ts", of: "RetryOptions" },
	{ title: "handle: queue", path: "lanes/intake.ts", of: "QueueOptions" },
	{ title: "handle: rateLimit", path: "lanes/pace.ts", of: "RateLimit" },
	{ title: "handle: batch", path: "lanes/collector.ts", of: "BatchOptions" },
	{
		...{ title: "bus.emit(type, data, options)", path: "event/envelope.ts", of: "EmitOptions" },
		like: "BusEvent",
		defaults: {
			correlationId: "in a consumer that of the event it has, or its id",
			causationId: "in a consumer the id of the event it has",
			traceparent: "in a consumer that of the event it has",
		},
	},
	{ title: "bus.waitFor(pattern, options)", path: "bus/wait-for.ts", of: "WaitForOptions" },
	{ title: "bus.stream(pattern, options)", path: "bus/stream.ts", of: "StreamOptions" },
	{ title: "bus.use(middleware, options)", path: "bus/middleware.ts", of: "UseOptions" },
	{ title: "bus.drain(options)", path: "bus/bus.ts", of: "Bus", method: "drain" },
	{
		title: "bus.deadLetters.list, replay and discard(filter)",
		...{ path: "bus/dead-letter.ts", of: "DeadLetterFilter" },
	},
	{ title: "Pages: every list(page)", path: "internal/page.ts", of: "PageRequest" },
	{ title: "createBus: outbox", path: "outbox/outbox-options.ts", of: "OutboxOptions" },
	{ title: "createBus: outbox.retention", path: "outbox/housekeeping.ts", of: "Retention", default: "" },
	{ title: "memoryStore(options)", path: "stores/memory/store.ts", of: "MemoryStoreOptions" },
	{ title: "sqliteStore(options)", path: "stores/sqlite/options.ts", of: "SqliteStoreOptions" },
	{ title: "postgresStore(options)", path: "stores/postgres/options.ts", of: "PostgresStoreOptions" },
	{ title: "createWebhookBridge(bus, options)", path: "webhook/bridge-options.ts", of: "BridgeOptions" },
	{
		title: "createWebhookBridge: retry",
		...{ path: "webhook/outcome.ts", of: "RetrySchedule", default: "as said of `retry`" },
	},
	{
		title: "createWebhookBridge: network, and createAddressGuard(options)",
		...{ path: "webhook/address-guard.ts", of: "AddressGuardOptions" },
	},
	{ title: "createWebhookBridge: breaker", path: "webhook/bridge-options.ts", of: "BreakerOptions" },
	{ title: "createWebhookBridge: network", path: "webhook/network-options.ts", of: "NetworkOptions" },
	{ title: "bridge.stop(options)", path: "webhook/bridge.ts", of: "StopOptions" },
	{
		title: "bridge.endpoints.create(input) and update(id, changes)",
		...{ path: "webhook/endpoint.ts", of: "EndpointFields" },
	},
	{ title: "bridge.endpoints.create(input), besides", path: "webhook/endpoint.ts", of: "EndpointInput" },
	{ title: "endpoints: tls", path: "webhook/endpoint.ts", of: "EndpointTls" },
	{ title: "bridge.endpoints.list(query)", path: "webhook/endpoints.ts", of: "EndpointQuery" },
	{ title: "bridge.endpoints.rotateSecret(id, options)", path: "webhook/endpoints.ts", of: "RotateOptions" },
	{
		title: "bridge.deliveries.list(query), redeliver(query) and cancel(query)",
		...{ path: "webhook/deliveries.ts", of: "DeliveryPick" },
	},
	{
		title: "bridge.deliveries.redeliver(query), besides",
		path: "webhook/deliveries.ts",
		of: "RedeliverPick",
	},
	{
		title: "bridge.deliveries.redeliver and cancel(…, options)",
		path: "webhook/deliveries.ts",
		of: "DryRun",
	},
	{
		title: "describeWebhooks(bus, bridge, options)",
		path: "webhook/describe-webhooks.ts",
		of: "DescribeWebhooksOptions",
	},
	{ title: "createReceiver(options)", path: "receiver/receiver-options.ts", of: "ReceiverOptions" },
	{ title: "createReceiver(options), besides", path: "receiver/handshake.ts", of: "ConsentOptions" },
	{
		title: "github, stripe, shopify, slack and svix(options)",
		...{ path: "receiver/presets/shared-secret.ts", of: "PresetOptions" },
	},
	{
		title: "cloudEvents(options)",
		...{ path: "receiver/presets/cloud-events.ts", of: "CloudEventsOptions" },
	},
	{
		title: "verifyWebhook(options)",
		path: "signature/verify.ts",
		of: "VerifyWebhookOptions",
		also: "VerifierOptions",
	},
];

/** The default that a comment names, and the comment without the sentence that does nothing else. */
function splitDefault(comment) {
	const sentence = /(?:^|(?<=[.;] ))Default:? (.+?)(?:\.(?= |$)|$)/.exec(comment);
	if (sentence !== null) {
		const rest = comment.slice(0, sentence.index) + comment.slice(sentence.index + sentence[0].length);
		return { byDefault: sentence[1], meaning: rest.replace(/\s+/g, " ").trim() };
	}
	const inBrackets = /\(default:? ([^)]+)\)/.exec(comment) ?? /(`[\w-]+`) \(default\)/.exec(comment);
	return { byDefault: inBrackets?.[1], meaning: comment };
}

/** The sentence of a comment that names an option. */
function findSentence(comment, option) {
	return comment.split(/(?<=\.) /).find((sentence) => sentence.includes(`\`${option}\``));
}

/** What is said of an option elsewhere than at itself. */
function findMeaning(name, { path, like }, described) {
	const alike = like && findInterface(path, like).members.find((other) => other.name.getText() === name);
	if (alike) return readComment(alike);
	// Where the comment of the interface is nothing else, it stands above the table.
	const sentence = findSentence(readComment(described), name);
	return sentence === undefined || sentence === readComment(described) ? "" : sentence;
}

function makeRow(member, section, described) {
	const name = member.name.getText();
	const own = splitDefault(readComment(member, "<br>"));
	const other = splitDefault(findMeaning(name, section, described));
	const aboutAll = described.members?.length === 1 ? splitDefault(readComment(described)) : {};
	const cells = [
		`\`${name}\``,
		`\`${readType(member)}\``,
		readTag(member, "defaultValue") ??
			own.byDefault ??
			section.defaults?.[name] ??
			(section.default || (other.byDefault ?? aboutAll.byDefault)) ??
			(member.questionToken === undefined ? "required" : "none"),
		own.meaning || other.meaning,
	];
	return `| ${cells.map(toCell).join(" | ")} |`;
}

function makeSection(section) {
	const { title, path, of, also, method, note } = section;
	const declaration = findInterface(path, of);
	const described =
		method === undefined ? declaration : declaration.members.find(({ name }) => name?.getText() === method);
	const { members } = method === undefined ? declaration : described.parameters[0].type;
	const inherited = also === undefined ? [] : findInterface(path, also).members;
	const rows = [...members, ...inherited]
		.filter(isOption)
		.map((member) => makeRow(member, section, described));
	const about = method === undefined ? splitDefault(readComment(declaration)).meaning : "";
	const paragraphs = [`## ${title}`, about, note ?? ""].filter((text) => text !== "");
	return `${paragraphs.join("\n\n")}\n\n| option | type | default | meaning |\n|---|---|---|---|\n${rows.join("\n")}\n`;
}

/** Not one that is there to forbid itself. */
function isOption({ type }) {
	return type.kind !== ts.SyntaxKind.UndefinedKeyword;
}

writePage("options.md", [intro, ...sections.map(makeSection)].join("\n"));
