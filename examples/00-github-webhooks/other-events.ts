/**
 * The kinds of GitHub events this demo reads no fields of, with the actions that occur in the input.
 * A kind without actions is an event type of its own.
 */
export const otherEvents = {
	branch_protection_rule: ["created", "deleted", "edited"],
	check_suite: ["completed", "requested", "rerequested"],
	code_scanning_alert: ["closed_by_user", "created", "fixed", "reopened"],
	commit_comment: ["created"],
	create: [],
	delete: [],
	dependabot_alert: ["created", "fixed"],
	deploy_key: ["created"],
	deployment_review: ["requested"],
	deployment_status: ["created"],
	discussion: [
		"answered",
		"category_changed",
		"created",
		"edited",
		"labeled",
		"locked",
		"pinned",
		"transferred",
		"unanswered",
		"unlabeled",
		"unlocked",
	],
	discussion_comment: ["created", "deleted", "edited"],
	fork: [],
	github_app_authorization: ["revoked"],
	gollum: [],
	installation: ["created", "deleted", "new_permissions_accepted", "suspend", "unsuspend"],
	installation_repositories: ["added", "removed"],
	label: ["created", "deleted", "edited"],
	marketplace_purchase: ["cancelled", "changed", "purchased"],
	member: ["added", "edited"],
	membership: ["added", "removed"],
	merge_group: ["checks_requested"],
	meta: ["deleted"],
	milestone: ["closed", "created", "deleted"],
	org_block: ["blocked", "unblocked"],
	organization: ["member_added", "member_invited", "renamed"],
	package: ["published"],
	page_build: [],
	project: ["created"],
	project_card: ["created", "deleted", "moved"],
	project_column: ["created", "edited"],
	projects_v2_item: ["archived", "converted", "created", "edited", "reordered", "restored"],
	public: [],
	pull_request_review: ["dismissed", "submitted"],
	pull_request_review_comment: ["created", "deleted", "edited"],
	pull_request_review_thread: ["resolved", "unresolved"],
	repository: ["created", "edited", "privatized", "publicized", "renamed", "transferred"],
	repository_dispatch: ["on-demand-test"],
	repository_import: [],
	repository_vulnerability_alert: ["create", "dismiss"],
	security_advisory: ["published", "updated", "withdrawn"],
	sponsorship: ["created", "pending_tier_change"],
	status: [],
	team: ["added_to_repository", "created", "deleted", "edited", "removed_from_repository"],
	team_add: [],
	watch: ["started"],
	workflow_dispatch: [],
	workflow_job: ["completed", "in_progress", "queued", "waiting"],
} as const;

type OtherEvents = typeof otherEvents;

/** `github.<kind>` or `github.<kind>.<action>` of {@link otherEvents}. */
export type OtherEventType = {
	[Kind in keyof OtherEvents]: OtherEvents[Kind] extends readonly []
		? `github.${Kind}`
		: `github.${Kind}.${OtherEvents[Kind][number]}`;
}[keyof OtherEvents];
