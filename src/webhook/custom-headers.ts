/** Headers that a bridge or HTTP itself sets; a prefix ends with `-`. */
const reserved = [
	"accept-encoding",
	"ce-",
	"connection",
	"content-",
	"date",
	"expect",
	"host",
	"http2-",
	"keep-alive",
	"origin",
	"proxy-",
	"stripe-signature",
	"te",
	"traceparent",
	"tracestate",
	"trailer",
	"transfer-encoding",
	"upgrade",
	"user-agent",
	"via",
	"webhook-",
	"x-github-",
	"x-hub-signature",
	"x-hub-signature-256",
];

export const maxHeaders = 50;
const maxValueLength = 4_096;
const hidden = "(hidden)";
const sensitive = /auth|bearer|cookie|credential|hmac|jwt|key|pass|pwd|secret|session|signature|token/iu;

/** Why a header may not be added to webhooks; `undefined` if it may. */
export function headerFault(name: string, value: unknown): string | undefined {
	const lower = name.toLowerCase();
	if (!/^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,100}$/u.test(name)) return "is not the name of a header";
	if (reserved.some((each) => (each.endsWith("-") ? lower.startsWith(each) : lower === each))) {
		return "is set by the bridge or by HTTP";
	}
	if (typeof value !== "string") return "must be a string";
	if (value === hidden) return "has the value that stands for a hidden one";
	if (value.length > maxValueLength) return `is longer than ${maxValueLength} characters`;
	// RFC 9110 §5.5: what is visible, with spaces and tabs between.
	if (!/^(?:[\x21-\x7e](?:[\t \x21-\x7e]*[\x21-\x7e])?)?$/u.test(value)) return "must be printable ASCII";
	return undefined;
}

/** The headers as they may be shown: of those that may hold a secret, by their names, not the values. */
export function maskHeaders(headers: Readonly<Record<string, string>>): Record<string, string> {
	return Object.fromEntries(
		Object.entries(headers).map(([name, value]) => [name, sensitive.test(name) ? hidden : value]),
	);
}

/** The headers that somebody wants on webhooks, named in lower case: what is given twice in two spellings would be sent twice. */
export interface CustomHeaders {
	readonly sent: Readonly<Record<string, string>>;
	/** With their values hidden where those may be secret. */
	readonly shown: Readonly<Record<string, string>>;
}

/** Some headers with others added, which win. */
export function addHeaders(
	own: CustomHeaders | undefined,
	added: Readonly<Record<string, string>>,
): CustomHeaders {
	const sent = Object.fromEntries(Object.entries(added).map(([name, value]) => [name.toLowerCase(), value]));
	return { sent: { ...own?.sent, ...sent }, shown: { ...own?.shown, ...maskHeaders(sent) } };
}
