// Bundled as for a browser, so that a node: import in either entry fails the build. ESM, because esbuild's default
// would count its 300 bytes of require() shim.
const modifyEsbuildConfig = (config) => ({ ...config, format: "esm" });

export default [
	// The ceiling of DESIGN decision 13. Raise it, also in test/package/bundle.test.ts, only in the commit that needs
	// it, with the reason, which stands there.
	{
		name: "callhook, without its dependencies",
		path: "dist/index.js",
		ignore: ["eventemitter3", "p-queue", "uuid"],
		gzip: true,
		limit: "35 kB",
		modifyEsbuildConfig,
	},
	{ name: "callhook/receiver", path: "dist/receiver.js", gzip: true, modifyEsbuildConfig },
];
