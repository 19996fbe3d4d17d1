import type { BusEvent } from "../event/index.ts";
import type { Unsubscribe } from "./subscription.ts";

/** What the facade needs of the bus, without its types. */
interface UntypedBus {
	on(type: string, callback: (data: unknown, event: BusEvent) => unknown): Unsubscribe;
	emit(type: string, data: unknown): unknown;
}

/** An event of the bus on an EventTarget: `detail` is its data. */
export interface BusCustomEvent<Data = unknown> extends CustomEvent<Data> {
	readonly busEvent: BusEvent;
}

/**
 * The bus as an EventTarget: listeners get a CustomEvent with the data as `detail` and the event as `busEvent`; what is
 * dispatched to it is emitted, its `detail` as the data. As everywhere on an EventTarget, a listener that throws is the
 * business of the runtime.
 */
export function createBusEventTarget(bus: UntypedBus): EventTarget {
	const heard = new Set<string>();

	class BusEventTarget extends EventTarget {
		override addEventListener(...args: Parameters<EventTarget["addEventListener"]>): void {
			const [type] = args;
			if (!heard.has(type)) {
				// One subscription for each type that somebody has ever listened to.
				bus.on(type, (data, busEvent) => {
					super.dispatchEvent(Object.assign(new CustomEvent(type, { detail: data }), { busEvent }));
				});
				heard.add(type);
			}
			super.addEventListener(...args);
		}

		override dispatchEvent(event: Event): boolean {
			bus.emit(event.type, (event as Partial<CustomEvent>).detail);
			return true;
		}
	}
	return new BusEventTarget();
}
