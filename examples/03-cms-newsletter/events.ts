import { defineEvents } from "callhook";
import { z } from "zod";

const post = z.object({ slug: z.string(), title: z.string() });

/** What happens in the CMS. Only `post.published` leaves it. */
export const cmsEvents = defineEvents({ "post.saved": post, "post.published": post });

/** What happens in the e-mail service: posts that come in, and the mails that it makes of them. */
export const mailEvents = defineEvents({
	"post.published": post,
	"mail.wanted": z.object({ postId: z.string(), to: z.email(), subject: z.string() }),
});
