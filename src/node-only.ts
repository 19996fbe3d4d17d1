// What a bundler for browsers gets in place of `callhook/webhook` and `callhook/sqlite`: it has none of their names, so the
// build fails, with the name of this file, instead of the page.
export {};

throw new Error(
	"callhook/webhook and callhook/sqlite need Node; in a browser use callhook and callhook/receiver",
);
