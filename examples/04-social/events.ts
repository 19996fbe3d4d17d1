import { defineEvents } from "callhook";
import { z } from "zod";

const account = z.object({ name: z.string(), followers: z.int().nonnegative() });
const base = z.object({ by: account, of: z.string() });

export const events = defineEvents({
	"social.mention": base.extend({ text: z.string(), language: z.enum(["de", "en", "ja"]) }),
	"social.follow": base,
	"social.comment": base.extend({ text: z.string(), language: z.enum(["de", "en", "ja"]), stars: z.int() }),
});
