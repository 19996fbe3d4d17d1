import { defineConfig } from "vitest/config";

const slow = ["test/e2e/**/*.test.ts", "test/faults/**/*.test.ts"];

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
					exclude: slow,
					testTimeout: 20_000,
					hookTimeout: 20_000,
					// Errors elsewhere are the business of `npm run typecheck`.
					typecheck: { enabled: true, include: ["test/types/**/*.test-d.ts"], ignoreSourceErrors: true },
				},
			},
			{ extends: true, test: { name: "e2e", include: slow, testTimeout: 60_000, hookTimeout: 60_000 } },
		],
	},
});
