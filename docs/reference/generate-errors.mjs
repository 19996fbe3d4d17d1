// Makes docs/reference/errors.md from the comments in src/errors.ts: `node docs/reference/generate-errors.mjs`.
// With --print it writes the page to stdout instead.
import { findInterface, readComment, readType, writePage } from "./typescript-source.mjs";

const intro = `# Errors

<!-- Made by docs/reference/generate-errors.mjs from the comments in src/errors.ts: edit those, then run it. -->

Every error that Callhook itself throws, rejects with or passes to \`onError\` is a \`CallhookError\`. Match on its
\`code\`, never on its message. \`details\` holds the facts for programs; their type follows from the code. Neither the
message nor the details hold secrets. What your own code, a schema, a store or DNS throws is passed on as it is.

\`\`\`ts
import { createBus, isCallhookError } from "callhook";

const bus = createBus();
try {
  bus.emit("order paid", { orderId: "o_1" });
} catch (error) {
  if (!isCallhookError(error, "ERR_CALLHOOK_INVALID_EVENT_TYPE")) throw error;
  console.log(error.details.type);
}
\`\`\`

\`isCallhookError\` also works where two copies of the package are installed and \`instanceof\` fails.
`;

const sections = findInterface("errors.ts", "CallhookErrorDetails").members.map((member) => {
	const code = member.name.getText();
	const comment = readComment(member);
	if (comment === "") throw new Error(`src/errors.ts says nothing about ${code}`);
	return `## ${code}\n\n${comment}\n\n\`details\`: \`${readType(member)}\`\n`;
});

const issue = findInterface("errors.ts", "DataIssue");
const fields = issue.members.map((member) => {
	const comment = readComment(member);
	return `- \`${member.name.getText()}: ${readType(member)}\`${comment === "" ? "" : `: ${comment}`}`;
});
const issueSection = `## DataIssue\n\n${readComment(issue)}\n\n${fields.join("\n")}\n`;

writePage("errors.md", [intro, ...sections, issueSection].join("\n"));
