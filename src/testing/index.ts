/**
 * Tools for tests of code that uses Callhook, and the suite every outbox store passes.
 *
 * @module
 */
export { type FakeClock, fakeClock } from "./fake-clock.ts";
export { type SettlingBus, settle } from "./settle.ts";
export type { StoreContractCase, StoreHarness } from "./store-contract/harness.ts";
export { storeContract } from "./store-contract.ts";
export { createTestBus, type TestBus, type TestBusOptions } from "./test-bus.ts";
