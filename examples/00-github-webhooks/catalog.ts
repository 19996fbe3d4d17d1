import { defineEvents } from "callhook";
import { type OtherEventType, otherEvents } from "./other-events.ts";
import {
	anyEvent,
	checkRunEvent,
	deploymentEvent,
	issueCommentEvent,
	issuesEvent,
	pingEvent,
	pullRequestEvent,
	pushEvent,
	releaseEvent,
	starEvent,
	workflowRunEvent,
} from "./schemas.ts";

/** The schema of every event type: one per kind, shared by its actions. */
export const githubSchemas = {
	"github.ping": pingEvent,
	"github.push": pushEvent,
	...actions("check_run", ["completed", "created", "requested_action", "rerequested"], checkRunEvent),
	...actions("deployment", ["created"], deploymentEvent),
	...actions("issue_comment", ["created", "deleted", "edited"], issueCommentEvent),
	...actions(
		"issues",
		[
			"assigned",
			"deleted",
			"demilestoned",
			"edited",
			"labeled",
			"locked",
			"milestoned",
			"opened",
			"pinned",
			"reopened",
			"transferred",
			"unassigned",
			"unlabeled",
			"unlocked",
			"unpinned",
		],
		issuesEvent,
	),
	...actions(
		"pull_request",
		[
			"assigned",
			"closed",
			"converted_to_draft",
			"labeled",
			"locked",
			"opened",
			"ready_for_review",
			"reopened",
			"review_request_removed",
			"review_requested",
			"synchronize",
			"unassigned",
			"unlabeled",
			"unlocked",
		],
		pullRequestEvent,
	),
	...actions(
		"release",
		["created", "deleted", "edited", "prereleased", "published", "released"],
		releaseEvent,
	),
	...actions("star", ["created", "deleted"], starEvent),
	...actions("workflow_run", ["completed", "requested"], workflowRunEvent),
	...others(),
};

/** An event type of the catalog, such as `github.issues.opened`. */
export type GithubEventType = keyof typeof githubSchemas;

/** Every event the demo may emit. */
export const githubEvents = defineEvents(githubSchemas);

/** The event types of one kind: `github.<kind>.<action>` for each action, all with the same schema. */
function actions<Kind extends string, Action extends string, Schema>(
	kind: Kind,
	names: readonly Action[],
	schema: Schema,
): Record<`github.${Kind}.${Action}`, Schema> {
	const entries = names.map((name) => [`github.${kind}.${name}`, schema] as const);
	return Object.fromEntries(entries) as Record<`github.${Kind}.${Action}`, Schema>;
}

/** The loose schema under each type of {@link otherEvents}. */
function others(): Record<OtherEventType, typeof anyEvent> {
	const types = Object.entries(otherEvents).flatMap(([kind, names]) =>
		names.length === 0 ? [`github.${kind}`] : names.map((name) => `github.${kind}.${name}`),
	);
	return Object.fromEntries(types.map((type) => [type, anyEvent])) as Record<OtherEventType, typeof anyEvent>;
}
