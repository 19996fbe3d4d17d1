import { EventEmitter } from "eventemitter3";
import type { EventDefinition, Pattern } from "../event/index.ts";
import type { BusCore } from "./core.ts";
import type { AnyCallback, EventQueue, Plan, Tap } from "./plan.ts";
import { createUnsubscribe, type Unsubscribe } from "./subscription.ts";

/** One registration, of a callback or of a handler. */
interface Subscription {
	readonly pattern: Pattern;
	/** Higher runs earlier; equal ones run in the order of registration. */
	readonly priority: number;
	readonly order: number;
	/** What the user passed, for `off`. */
	readonly callback: unknown;
	/** What to do for an event: call this in line, queue it there, or show it to that. */
	readonly target: AnyCallback | EventQueue | Tap;
	/** What the user holds instead of the function that `add` returns. */
	readonly subscription?: object;
	/** Called when the registration has ended, however that came. */
	readonly onEnd?: () => void;
}

type NamedSubscription = Subscription & { readonly subscription: object };

/** Ends its subscription; what is registered with eventemitter3. */
interface Entry {
	(): void;
	/** `undefined` once it has ended. */
	subscription: NamedSubscription | undefined;
}

/** An event type with its plan; `plan` is `undefined` while it has to be worked out anew. */
export interface Channel {
	readonly type: string;
	plan: Plan | undefined;
	/** A bound emitter holds it, so it must stay in the table. */
	isBound: boolean;
}

/** Who listens to what. */
export interface Registry {
	/** Finds the channel of a type or makes it; throws when the type may not be emitted. */
	channel(type: string): Channel;
	/** The same, for a bound emitter. */
	bind(type: string): Channel;
	/** The plan of a channel, worked out when needed. */
	plan(channel: Channel): Plan;
	add(subscription: Omit<Subscription, "order">): Unsubscribe;
	/** Says that a pattern has one subscription more, which may run the user's code: it must be complete. */
	announce(pattern: string): void;
	/** Ends every subscription of this pattern and function. */
	remove(pattern: string, callback: unknown): void;
	/** How many subscriptions there are, by pattern. */
	counts(): Record<string, number>;
	/** Forgets every plan: the next emit of each type asks for its facts again. */
	forgetPlans(): void;
	/** Ends every subscription. */
	clear(): void;
}

/** What the registry asks of the bus. */
export interface BusFacts {
	readonly core: BusCore;
	/** Throws unless the type may be emitted now. */
	checkType(type: string): void;
	definitionOf(type: string): EventDefinition | undefined;
	outboxTargetsOf(type: string): readonly string[];
	/** Whether something is around every emit: middleware, or a hold. */
	isGuarded(): boolean;
	/** A pattern has one subscription more. */
	onAdd(pattern: string, count: number): void;
}

// An application with generated type names must not grow the table without end.
const maxChannels = 10_000;

export function createRegistry(facts: BusFacts): Registry {
	// eventemitter3 is the multimap from pattern to subscriptions; each is registered as a function that carries it.
	const registrations = new EventEmitter<string>();
	/** How many of a pattern have ended and are still in the multimap. */
	const ended = new Map<string, number>();
	const wildcards = new Map<string, Pattern>();
	const channels = new Map<string, Channel>();
	let lastChannel: Channel | undefined;
	let nextOrder = 0;

	function entriesOf(pattern: string): Entry[] {
		return registrations.listeners(pattern) as Entry[];
	}

	function listSubscriptions(pattern: string): NamedSubscription[] {
		const list: NamedSubscription[] = [];
		for (const { subscription } of entriesOf(pattern))
			if (subscription !== undefined) list.push(subscription);
		return list;
	}

	function count(pattern: string): number {
		return registrations.listenerCount(pattern) - (ended.get(pattern) ?? 0);
	}

	/**
	 * Takes a subscription out. eventemitter3 copies all the others for that, which made an emit that ended 20,000 waits
	 * take seconds: so it is done for all that have ended, once they are more than those that are left.
	 */
	function unregister(pattern: string, entry: Entry): void {
		if (entry.subscription === undefined) return;
		entry.subscription = undefined;
		const gone = (ended.get(pattern) ?? 0) + 1;
		ended.set(pattern, gone);
		if (gone <= count(pattern)) return;
		const left = entriesOf(pattern).filter(({ subscription }) => subscription !== undefined);
		registrations.removeAllListeners(pattern);
		ended.delete(pattern);
		for (const other of left) registrations.on(pattern, other);
	}

	function invalidate(pattern: Pattern): void {
		if (pattern.isExact) {
			const channel = channels.get(pattern.text);
			if (channel !== undefined) channel.plan = undefined;
			return;
		}
		for (const [type, channel] of channels) {
			if (channel.plan !== undefined && pattern.matches(type)) channel.plan = undefined;
		}
	}

	function createPlan(type: string): Plan {
		facts.checkType(type);
		const outboxTargets = facts.outboxTargetsOf(type);
		const matching = listSubscriptions(type);
		for (const pattern of wildcards.values()) {
			if (pattern.matches(type)) matching.push(...listSubscriptions(pattern.text));
		}
		matching.sort((a, b) => b.priority - a.priority || a.order - b.order);
		const callbacks: AnyCallback[] = [];
		const patterns: string[] = [];
		const ofCallbacks: object[] = [];
		const ofHandlers: object[] = [];
		const handlers: EventQueue[] = [];
		const taps: Tap[] = [];
		for (const { target, pattern, subscription } of matching) {
			if (typeof target === "function") {
				callbacks.push(target);
				patterns.push(pattern.text);
				ofCallbacks.push(subscription);
			} else if ("enqueue" in target) {
				handlers.push(target);
				ofHandlers.push(subscription);
			} else {
				taps.push(target);
			}
		}
		const definition = facts.definitionOf(type);
		// A callback declared as `(data) => …` never sees the event, so the event's time can wait until it is read.
		const isStamped =
			handlers.length + taps.length + outboxTargets.length > 0 ||
			callbacks.some((callback) => callback.length !== 1);
		const isPlain = definition === undefined && !isStamped && !facts.isGuarded();
		const { core } = facts;
		const subscriptions = [...ofCallbacks, ...ofHandlers];
		return {
			...{ core, type, definition, callbacks, patterns, subscriptions, handlers, taps, outboxTargets },
			...{ isStamped, isPlain },
		};
	}

	function channelOf(type: string): Channel {
		// Emits of one type often come in a row, and looking it up is half the cost of an emit.
		if (lastChannel !== undefined && lastChannel.type === type) return lastChannel;
		lastChannel = channels.get(type) ?? addChannel(type);
		return lastChannel;
	}

	function addChannel(type: string): Channel {
		facts.checkType(type);
		if (channels.size >= maxChannels) forgetUnbound();
		const channel: Channel = { type, plan: undefined, isBound: false };
		channels.set(type, channel);
		return channel;
	}

	function forgetPlans(): void {
		for (const channel of channels.values()) channel.plan = undefined;
	}

	function forgetUnbound(): void {
		for (const channel of channels.values()) if (!channel.isBound) channels.delete(channel.type);
		lastChannel = undefined;
	}

	return {
		channel: channelOf,
		bind(type) {
			const channel = channelOf(type);
			channel.isBound = true;
			return channel;
		},
		plan(channel) {
			channel.plan ??= createPlan(channel.type);
			return channel.plan;
		},
		add(details) {
			const { pattern } = details;
			const unsubscribe = createUnsubscribe(() => {
				unregister(pattern.text, entry);
				if (count(pattern.text) === 0) wildcards.delete(pattern.text);
				invalidate(pattern);
				details.onEnd?.();
			});
			const subscription = { subscription: unsubscribe, ...details, order: nextOrder++ };
			const entry: Entry = Object.assign(() => unsubscribe(), { subscription });
			registrations.on(pattern.text, entry);
			if (!pattern.isExact) wildcards.set(pattern.text, pattern);
			invalidate(pattern);
			return unsubscribe;
		},
		announce: (pattern) => facts.onAdd(pattern, count(pattern)),
		remove(pattern, callback) {
			for (const entry of entriesOf(pattern)) if (entry.subscription?.callback === callback) entry();
		},
		counts: () => Object.fromEntries(registrations.eventNames().map((pattern) => [pattern, count(pattern)])),
		forgetPlans,
		clear() {
			const all = registrations.eventNames().flatMap(listSubscriptions);
			registrations.removeAllListeners();
			ended.clear();
			wildcards.clear();
			forgetPlans();
			for (const { onEnd } of all) onEnd?.();
		},
	};
}
