// Makes docs/reference/signals.md from the types in src/bus/signals.ts and src/outbox/signals.ts and their comments:
// `node docs/reference/generate-signals.mjs`. With --print it writes the page to stdout instead.
import ts from "typescript";
import { findInterface, readComment, readType, toCell, writePage } from "./typescript-source.mjs";

const intro = `# Lifecycle signals

<!-- Made by docs/reference/generate-signals.mjs from LifecycleSignals in src/bus/signals.ts and OutboxSignals in
     src/outbox/signals.ts: edit the comments there, then run it. -->

What \`bus.observe\` can watch. An observer is called where the thing happens, before it goes on, so it should be quick.
What it throws or rejects with goes to \`onError\` and hurts nobody. Without an observer nothing is put together for it.

\`\`\`ts
import { createBus } from "callhook";

const bus = createBus();
const stop = bus.observe("handler:retry", ({ handler, attempt, delayMs }) => {
  console.log(\`\${handler}: attempt \${attempt} failed, next in \${delayMs} ms\`);
});
stop();
\`\`\`

\`publishDiagnostics(bus)\` of \`callhook/diagnostics\` publishes each on the channel \`callhook:\` and its name, such as
\`callhook:handler:retry\`; see [trace causes](../how-to/trace-causes.md).
`;

/** What a signal tells: the fields written in place, and the names of the interfaces they come with. */
function partsOf(type) {
	if (ts.isTypeLiteralNode(type)) return { fields: [...type.members], from: [] };
	if (ts.isTypeReferenceNode(type)) return { fields: [], from: [type.getText()] };
	if (!ts.isIntersectionTypeNode(type)) throw new Error(`Cannot list the fields of ${type.getText()}`);
	const parts = type.types.map(partsOf);
	return { fields: parts.flatMap(({ fields }) => fields), from: parts.flatMap(({ from }) => from) };
}

function showField(member) {
	const name = `${member.name.getText()}${member.questionToken === undefined ? "" : "?"}`;
	const comment = readComment(member);
	return `\`${name}: ${readType(member)}\`${comment === "" ? "" : `: ${comment}`}`;
}

function makeTable(path, name) {
	const rows = findInterface(path, name).members.map((member) => {
		const { fields, from } = partsOf(member.type);
		const cells = [
			...from.map((other) => `the fields of [${other}](#${other.toLowerCase()})`),
			...fields.map(showField),
		];
		const signal = JSON.parse(member.name.getText());
		return `| \`${signal}\` | ${toCell(readComment(member))} | ${cells.map(toCell).join("<br>")} |`;
	});
	return `| signal | when | fields |\n|---|---|---|\n${rows.join("\n")}\n`;
}

function makeFields(path, name) {
	const declaration = findInterface(path, name);
	const comment = readComment(declaration);
	const fields = declaration.members.map((member) => `- ${showField(member)}`);
	return `## ${name}\n\n${comment === "" ? "" : `${comment}\n\n`}${fields.join("\n")}\n`;
}

const page = [
	intro,
	"## In the process\n",
	makeTable("bus/signals.ts", "LifecycleSignals"),
	"## The outbox\n",
	makeTable("outbox/signals.ts", "OutboxSignals"),
	makeFields("outbox/signals.ts", "DeliveryInfo"),
	makeFields("outbox/signals.ts", "EndpointInfo"),
	makeFields("outbox/ports.ts", "AttemptRecord"),
	makeFields("bus/dead-letter.ts", "DeadLetter"),
	makeFields("bus/dead-letter.ts", "AttemptFailure"),
	makeFields("event/envelope.ts", "BusEvent"),
];

writePage("signals.md", page.join("\n"));
