import { z } from "zod";

// Loose objects name what a program may rely on and let everything else GitHub sends pass through unchanged.

const id = z.int().positive();
const sha = z.hex().length(40);
const branch = z.string().min(1);

const account = z.looseObject({ login: z.string().min(1), id, html_url: z.url() });
const person = z.looseObject({ name: z.string(), email: z.email().nullable() });
const label = z.looseObject({ id, name: z.string(), color: z.hex() });

const repository = z.looseObject({
	id,
	name: z.string(),
	full_name: z.string().regex(/^[^/]+\/[^/]+$/, "expected owner/name"),
	private: z.boolean(),
	html_url: z.url(),
	default_branch: branch,
});

/** What every event may tell beside its own subject. */
const context = {
	organization: z.looseObject({ login: z.string().min(1), id }).optional(),
	installation: z.looseObject({ id }).optional(),
};

/** An event of a repository: the base of all schemas below but `ping`. */
const repositoryEvent = z.looseObject({ ...context, repository, sender: account });

/** Any other event: GitHub sends an object, and where these fields are there they have this form. */
export const anyEvent = z.looseObject({
	...context,
	action: z.string().optional(),
	repository: repository.optional(),
	sender: z.looseObject({ login: z.string().min(1) }).optional(),
});

export const pingEvent = z.looseObject({
	...context,
	zen: z.string(),
	hook_id: id,
	hook: z.looseObject({ id, type: z.string(), active: z.boolean(), events: z.array(z.string()) }),
	repository: repository.optional(),
	sender: account,
});

const commit = z.looseObject({
	id: sha,
	message: z.string(),
	timestamp: z.iso.datetime({ offset: true }),
	author: person,
	added: z.array(z.string()),
	removed: z.array(z.string()),
	modified: z.array(z.string()),
});

export const pushEvent = repositoryEvent.extend({
	ref: z.string().startsWith("refs/"),
	before: sha,
	after: sha,
	created: z.boolean(),
	deleted: z.boolean(),
	forced: z.boolean(),
	commits: z.array(commit),
	head_commit: commit.nullable(),
	pusher: person,
});

const issue = z.looseObject({
	id,
	number: id,
	title: z.string(),
	// Left out when an issue is pinned or unpinned.
	state: z.enum(["open", "closed"]).optional(),
	user: account,
	labels: z.array(label).optional(),
	body: z.string().nullable(),
	comments: z.int().nonnegative(),
	created_at: z.iso.datetime(),
	html_url: z.url(),
});

export const issuesEvent = repositoryEvent.extend({ action: z.string(), issue });

export const issueCommentEvent = repositoryEvent.extend({
	action: z.enum(["created", "edited", "deleted"]),
	issue,
	comment: z.looseObject({ id, body: z.string(), user: account, created_at: z.iso.datetime() }),
});

const gitReference = z.looseObject({ ref: branch, sha });

export const pullRequestEvent = repositoryEvent.extend({
	action: z.string(),
	number: id,
	pull_request: z.looseObject({
		id,
		number: id,
		title: z.string(),
		state: z.enum(["open", "closed"]),
		draft: z.boolean(),
		merged: z.boolean(),
		user: account,
		labels: z.array(label),
		body: z.string().nullable(),
		head: gitReference,
		base: gitReference,
		additions: z.int().nonnegative(),
		deletions: z.int().nonnegative(),
		changed_files: z.int().nonnegative(),
		html_url: z.url(),
	}),
});

export const releaseEvent = repositoryEvent.extend({
	action: z.string(),
	release: z.looseObject({
		id,
		tag_name: z.string().min(1),
		name: z.string().nullable(),
		draft: z.boolean(),
		prerelease: z.boolean(),
		author: account,
		published_at: z.iso.datetime().nullable(),
		html_url: z.url(),
	}),
});

export const starEvent = repositoryEvent.extend({
	action: z.enum(["created", "deleted"]),
	starred_at: z.iso.datetime().nullable(),
});

export const workflowRunEvent = repositoryEvent.extend({
	action: z.enum(["requested", "in_progress", "completed"]),
	workflow: z.looseObject({ id, name: z.string(), path: z.string() }),
	workflow_run: z.looseObject({
		id,
		run_number: id,
		event: z.string(),
		status: z.string(),
		conclusion: z.string().nullable(),
		head_branch: branch,
		head_sha: sha,
	}),
});

export const checkRunEvent = repositoryEvent.extend({
	action: z.enum(["created", "completed", "requested_action", "rerequested"]),
	check_run: z.looseObject({
		id,
		name: z.string(),
		status: z.enum(["queued", "in_progress", "completed"]),
		conclusion: z.string().nullable(),
		head_sha: sha,
		started_at: z.iso.datetime(),
		completed_at: z.iso.datetime().nullable(),
	}),
});

export const deploymentEvent = repositoryEvent.extend({
	action: z.literal("created"),
	deployment: z.looseObject({
		id,
		sha,
		ref: branch,
		task: z.string(),
		environment: z.string(),
		creator: account,
		created_at: z.iso.datetime(),
	}),
});
