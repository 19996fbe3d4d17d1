import fc from "fast-check";
import { expect } from "vitest";
import { advance, compare, happen, origin, type RealBridge, restartBridge } from "./bridge-harness.ts";
import { type Answer, type BridgeModel, isFinal, type ModelEndpoint, type ModelRow } from "./bridge-model.ts";

type Command = fc.AsyncCommand<BridgeModel, RealBridge>;

function command(text: string, run: Command["run"], check: Command["check"] = () => true): Command {
	return {
		check,
		toString: () => text,
		async run(model, real) {
			await run(model, real);
			await happen(model, real);
			await compare(model, real);
		},
	};
}

const at = <Item>(items: readonly Item[], index: number): Item => items[index % items.length] as Item;
const index = fc.nat({ max: 30 });
const show = (value: unknown): string => JSON.stringify(value);
const maxEndpoints = 3;

const emit = fc
	.record({
		type: fc.constantFrom("order.paid", "order.paid", "order.paid", "order.sent", "user.created"),
		key: fc.constantFrom("k", "k", "l", undefined),
		tenant: fc.constantFrom("a", "a", "b", undefined),
		count: fc.integer({ min: 1, max: 4 }),
	})
	.map(({ type, key, tenant, count }) =>
		command(`emit(${show({ type, key, tenant, count })})`, async (model, { bus }) => {
			const options = { ...(key && { key }), ...(tenant && { metadata: { tenant } }) };
			for (let number = 0; number < count; number++) {
				const { id } = bus.emit(type, { number }, options).event;
				if (type.startsWith("order.")) model.emit({ id, type, key, tenant, addedAtMs: model.nowMs });
			}
		}),
	);

const answers: fc.Arbitrary<Answer> = fc.oneof(
	{ weight: 6, arbitrary: fc.record({ status: fc.constantFrom(200, 204, 299) }) },
	{ weight: 6, arbitrary: fc.record({ status: fc.constantFrom(500, 400, 302, 408) }) },
	{ weight: 1, arbitrary: fc.constant({ status: 410 }) },
	{
		weight: 3,
		arbitrary: fc.record({
			status: fc.constantFrom(429, 503, 500),
			retryAfterS: fc.constantFrom(0, 1, 7, 29, 100),
		}),
	},
	{
		weight: 2,
		arbitrary: fc.record({
			status: fc.constantFrom(200, 400, 500),
			asks: fc.constantFrom("abort-message" as const, "abort-message" as const, "disable" as const),
		}),
	},
	{ weight: 3, arbitrary: fc.record({ error: fc.constantFrom("ECONNRESET", "ECONNREFUSED") }) },
);

const answer = fc.tuple(index, answers, fc.integer({ min: 1, max: 4 })).map(([which, given, times]) =>
	command(
		`answer(${which}, ${show(given)}, ${times})`,
		async (model, real) => {
			for (let time = 0; time < times && model.sending.size > 0; time++) {
				const request = at([...model.sending.keys()], which);
				model.end(request, given);
				if ("error" in given) request.break(given.error);
				else request.answer(given.status, headersOf(given));
				await happen(model, real);
			}
		},
		({ sending }) => sending.size > 0,
	),
);

function headersOf({ retryAfterS, asks }: Extract<Answer, { status: number }>): Record<string, string> {
	return {
		...(retryAfterS !== undefined && { "retry-after": String(retryAfterS) }),
		...(asks && { "webhook-delivery": asks }),
	};
}

const pass = fc
	.oneof(fc.constantFrom(1, 999, 1_000, 3_000, 5_000, 20_000, 60_000), fc.nat({ max: 10_000 }))
	.map((ms) => command(`advance(${ms})`, (model, real) => advance(model, real, ms)));

const restart = fc.constant(command("restart()", restartBridge));

const create = fc
	.record({
		events: fc.constantFrom("**", "**", "order.paid", "order.sent"),
		tenant: fc.constantFrom(undefined, undefined, "a"),
		order: fc.constantFrom("none" as const, "key" as const, "endpoint" as const),
		concurrency: fc.constantFrom(1, 2, 5),
	})
	.map(({ events, ...fields }) =>
		command(
			`create(${show({ events, ...fields })})`,
			async (model, { bridge }) => {
				const path = `/${model.endpoints.length}`;
				const { id, secret } = await bridge.endpoints.create({
					url: origin + path,
					events: [events],
					...fields,
				});
				model.endpoints.push({
					...{ id, path, events, ...fields, state: "enabled", reason: undefined },
					...{ failures: 0, failingSinceMs: undefined, pause: undefined },
					keys: [{ secret, untilMs: Number.POSITIVE_INFINITY }],
				});
			},
			({ endpoints }) => endpoints.filter(({ state }) => state !== "deleted").length < maxEndpoints,
		),
	);

/** A command on one of the endpoints that there are. */
function onEndpoint(
	name: string,
	run: (endpoint: ModelEndpoint, model: BridgeModel, real: RealBridge) => Promise<unknown>,
): fc.Arbitrary<Command> {
	const there = ({ endpoints }: Pick<BridgeModel, "endpoints">) =>
		endpoints.filter(({ state }) => state !== "deleted");
	return index.map((which) =>
		command(
			`${name}(${which})`,
			async (model, real) => void (await run(at(there(model), which), model, real)),
			(model) => there(model).length > 0,
		),
	);
}

const endpointCommands = [
	onEndpoint("disable", (endpoint, model, { bridge }) => {
		model.disable(endpoint, "manual");
		return bridge.endpoints.disable(endpoint.id);
	}),
	onEndpoint("enable", (endpoint, model, { bridge }) => {
		Object.assign(endpoint, { state: "enabled", reason: undefined });
		model.heal(endpoint);
		return bridge.endpoints.enable(endpoint.id);
	}),
	onEndpoint("delete", (endpoint, model, { bridge }) => {
		model.delete(endpoint);
		return bridge.endpoints.delete(endpoint.id);
	}),
	onEndpoint("move", (endpoint, model, { bridge }) => {
		endpoint.path += "x";
		model.heal(endpoint);
		return bridge.endpoints.update(endpoint.id, { url: origin + endpoint.path });
	}),
	...(["**", "order.paid", "order.sent"] as const).map((events) =>
		onEndpoint(`update ${events}`, (endpoint, _model, { bridge }) => {
			endpoint.events = events;
			return bridge.endpoints.update(endpoint.id, { events: [events] });
		}),
	),
	...[0, 5_000].map((overlapMs) =>
		onEndpoint(`rotate ${overlapMs}`, async (endpoint, model, { bridge }) => {
			const { secret } = await bridge.endpoints.rotateSecret(endpoint.id, { overlapMs });
			const [current, ...previous] = endpoint.keys;
			const earlier = [{ secret: current?.secret ?? "", untilMs: model.nowMs + overlapMs }, ...previous];
			const holding = overlapMs === 0 ? [] : earlier.filter(({ untilMs }) => model.nowMs < untilMs);
			endpoint.keys = [{ secret, untilMs: Number.POSITIVE_INFINITY }, ...holding].slice(0, 10);
		}),
	),
	onEndpoint("redeliver missing", async (endpoint, model, { bridge }) => {
		if (endpoint.state !== "enabled") return;
		for (const sinceMs of [model.nowMs, model.nowMs - 5_000, model.startMs]) {
			const pick = { endpointId: endpoint.id, missing: true, since: new Date(sinceMs) };
			const count = model.missing(endpoint, sinceMs).length;
			expect(await bridge.deliveries.redeliver(pick, { dryRun: true })).toEqual({ count });
			expect(await bridge.deliveries.redeliver(pick)).toEqual({ count });
			model.addMissing(endpoint, sinceMs);
		}
	}),
];

const redeliverMany = fc
	.record({
		which: fc.option(index, { nil: undefined }),
		state: fc.constantFrom("dead" as const, "dead" as const, "delivered" as const, "cancelled" as const),
		sinceMs: fc.constantFrom(undefined, 0, 5_000),
	})
	.map(({ which, state, sinceMs }) =>
		command(`redeliver(${show({ which, state, sinceMs })})`, async (model, { bridge }) => {
			const enabled = model.endpoints.filter((each) => each.state === "enabled");
			const chosen = which === undefined ? undefined : at(enabled, which);
			const since = sinceMs === undefined ? undefined : new Date(model.nowMs - sinceMs);
			const { items } = await bridge.deliveries.list({ state, since, limit: 1_000 });
			const ids = new Set(items.map(({ id }) => id));
			const rows = model.rows.filter(
				({ endpoint, id }) => ids.has(id) && (chosen ? endpoint === chosen : endpoint.state === "enabled"),
			);
			const pick = { state, since, ...(chosen && { endpointId: chosen.id }) };
			expect(await bridge.deliveries.redeliver(pick, { dryRun: true })).toEqual({ count: rows.length });
			expect(await bridge.deliveries.redeliver(pick)).toEqual({ count: rows.length });
			for (const row of rows) model.revive(row);
		}),
	);

const redeliverOne = index.map((which) =>
	command(
		`redeliver(${which})`,
		async (model, { bridge }) => {
			const row = at(model.rows, which);
			if (row.endpoint.state !== "enabled") return;
			const shown = await bridge.deliveries.get(row.id);
			const count = shown?.state === "in_flight" ? 0 : 1;
			expect(await bridge.deliveries.redeliver(row.id, { dryRun: true })).toEqual({ count });
			expect(await bridge.deliveries.redeliver(row.id)).toEqual({ count });
			if (count === 1) model.revive(row);
		},
		({ rows }) => rows.length > 0,
	),
);

const unfinished = ({ rows }: Pick<BridgeModel, "rows">) => rows.filter((row) => !isFinal(row));

async function cancelOne(row: ModelRow, model: BridgeModel, { bridge }: RealBridge): Promise<void> {
	const count = isFinal(row) ? 0 : 1;
	expect(await bridge.deliveries.cancel(row.id, { dryRun: true })).toEqual({ count });
	expect(await bridge.deliveries.cancel(row.id)).toEqual({ count });
	if (count === 1) model.cancel(row);
}

const cancel = index.map((which) =>
	command(
		`cancel(${which})`,
		(model, real) => cancelOne(at(model.rows, which), model, real),
		({ rows }) => rows.length > 0,
	),
);

/** Of what may be sent the second: where not all can be sent at once, it is claimed and has not started. */
const cancelSecond = index.map((which) =>
	command(
		`cancelSecond(${which})`,
		(model, real) => {
			const { endpoint } = at(unfinished(model), which);
			const rows = unfinished(model).filter((row) => row.endpoint === endpoint);
			const due = rows.filter(({ dueAtMs }) => dueAtMs <= model.nowMs);
			return cancelOne(due.at(1) ?? at(rows, which), model, real);
		},
		(model) => unfinished(model).length > 0,
	),
);

const cancelAll = index.map((which) =>
	command(
		`cancelAll(${which})`,
		async (model, { bridge }) => {
			const endpoint = at(model.endpoints, which);
			const rows = unfinished(model).filter((row) => row.endpoint === endpoint);
			const count = rows.length;
			expect(await bridge.deliveries.cancel({ endpointId: endpoint.id })).toEqual({ count });
			for (const row of rows) model.cancel(row);
		},
		({ endpoints }) => endpoints.length > 0,
	),
);

/** What makes the first endpoints. */
export const firstCommands: fc.Arbitrary<readonly Command[]> = fc.array(create, {
	minLength: 1,
	maxLength: 3,
});

/** Sequences of commands, after each of which the bridge is compared with the model. */
export function bridgeCommands(maxCommands: number): fc.Arbitrary<Iterable<Command>> {
	const often = [emit, emit, answer, answer, answer, answer, pass, pass, pass];
	const seldom = [
		create,
		restart,
		restart,
		redeliverMany,
		redeliverMany,
		redeliverOne,
		cancel,
		cancelSecond,
		cancelSecond,
		cancelAll,
	];
	return fc.commands([...often, ...often, ...often, ...often, ...seldom, ...endpointCommands], {
		...{ maxCommands, size: "max" },
	});
}
