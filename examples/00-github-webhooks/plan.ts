/** The event types that leave the process as webhooks. */
export const forwardedPatterns = [
	"github.push",
	"github.issues.*",
	"github.pull_request.*",
	"github.release.*",
] as const;

/** What the callbacks listen to; each event runs one callback for every pattern that matches it. */
export const callbackPatterns = [
	"github.**",
	"github.push",
	"github.issues.*",
	"github.star.created",
] as const;

/** How many events the handler may work on at once. */
export const handlerConcurrency = 4;

/** The receiver refuses the first attempt of every tenth message. */
export const refuseEvery = 10;
