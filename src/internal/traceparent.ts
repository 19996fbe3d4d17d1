const form = /^(?!ff)[\da-f]{2}-(?!0{32})[\da-f]{32}-(?!0{16})[\da-f]{16}-[\da-f]{2}$/;

/** Whether a text is a W3C traceparent: https://www.w3.org/TR/trace-context/#traceparent-header-field-values */
export function isTraceparent(text: string): boolean {
	return form.test(text);
}
