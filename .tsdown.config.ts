import { defineConfig } from "tsdown";

export default defineConfig({
	entry: {
		index: "src/index.ts",
		webhook: "src/webhook/index.ts",
		receiver: "src/receiver/index.ts",
		testing: "src/testing/index.ts",
		diagnostics: "src/diagnostics/index.ts",
	},
	// The entries `callhook` and `callhook/receiver` run in browsers and workers too.
	platform: "neutral",
	tsconfig: ".tsconfig.build.json",
	// Dependencies stay imports; one that would be inlined fails the build.
	deps: { neverBundle: /^node:/, onlyBundle: [] },
	failOnWarn: true,
});
