import { defineConfig } from "eslint/config";
import tseslint from "typescript-eslint";

// Biome lints and formats everything; here are only the rules that need types and that biome lacks.
export default defineConfig(
	{
		files: ["src/**/*.ts"],
		plugins: { "@typescript-eslint": tseslint.plugin },
		languageOptions: { parser: tseslint.parser, parserOptions: { projectService: true } },
		linterOptions: { reportUnusedDisableDirectives: "error" },
		rules: {
			"@typescript-eslint/await-thenable": "error",
			"@typescript-eslint/no-base-to-string": "error",
			"@typescript-eslint/no-deprecated": "error",
			"@typescript-eslint/no-floating-promises": "error",
			"@typescript-eslint/no-misused-promises": "error",
			"@typescript-eslint/no-unnecessary-type-assertion": "error",
			"@typescript-eslint/no-unsafe-argument": "error",
			"@typescript-eslint/no-unsafe-assignment": "error",
			"@typescript-eslint/no-unsafe-call": "error",
			"@typescript-eslint/no-unsafe-member-access": "error",
			"@typescript-eslint/no-unsafe-return": "error",
			"@typescript-eslint/restrict-plus-operands": "error",
			"@typescript-eslint/restrict-template-expressions": [
				"error",
				{ allowNumber: true, allowBoolean: true },
			],
			"@typescript-eslint/return-await": "error",
			"@typescript-eslint/switch-exhaustiveness-check": "error",
		},
	},
	{
		// A test may look into values whose type it does not know.
		files: ["src/**/*.test.ts"],
		rules: {
			"@typescript-eslint/no-unsafe-argument": "off",
			"@typescript-eslint/no-unsafe-assignment": "off",
			"@typescript-eslint/no-unsafe-call": "off",
			"@typescript-eslint/no-unsafe-member-access": "off",
			"@typescript-eslint/no-unsafe-return": "off",
		},
	},
);
