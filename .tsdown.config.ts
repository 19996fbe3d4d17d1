import { defineConfig } from "tsdown";

export default defineConfig({
	entry: {
		index: "src/index.ts",
		webhook: "src/webhook/index.ts",
		receiver: "src/receiver/index.ts",
		testing: "src/testing/index.ts",
		diagnostics: "src/diagnostics/index.ts",
		sqlite: "src/stores/sqlite/index.ts",
		postgres: "src/stores/postgres/index.ts",
		"node-only": "src/node-only.ts",
	},
	// The entries `callhook` and `callhook/receiver` run in browsers and workers too.
	platform: "neutral",
	tsconfig: ".tsconfig.build.json",
	// For Symbol.dispose, which no `lib` of a browser project holds unless it asks for ESNext.
	banner: { dts: '/// <reference lib="esnext.disposable" />' },
	// Dependencies stay imports; one that would be inlined fails the build.
	deps: { neverBundle: /^node:/, onlyBundle: [] },
	failOnWarn: true,
});
