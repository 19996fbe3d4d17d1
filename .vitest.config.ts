import { defineConfig } from "vitest/config";

const endToEnd = ["test/e2e/**/*.test.ts"];
const faults = ["test/faults/**/*.test.ts"];

export default defineConfig({
	// `callhook` and `callhook/*` are the sources, as tsconfig.json maps them.
	resolve: { tsconfigPaths: true },
	test: {
		pool: "forks",
		reporters: ["default", ["json", { outputFile: ".reports/vitest.json" }]],
		projects: [
			{
				extends: true,
				test: {
					name: "unit",
					include: ["{src,test,examples,bench}/**/*.test.ts"],
					exclude: [...endToEnd, ...faults],
					testTimeout: 20_000,
					hookTimeout: 20_000,
					// Errors elsewhere are the business of `npm run typecheck`.
					typecheck: { enabled: true, include: ["test/types/**/*.test-d.ts"], ignoreSourceErrors: true },
				},
			},
			{ extends: true, test: { name: "e2e", include: endToEnd, testTimeout: 60_000, hookTimeout: 60_000 } },
			{
				extends: true,
				test: {
					name: "faults",
					include: faults,
					testTimeout: 60_000,
					hookTimeout: 60_000,
					// Behind the others, since they keep every core busy, and several at once, since they mostly wait.
					sequence: { groupOrder: 1 },
					maxWorkers: 3,
				},
			},
		],
	},
});
