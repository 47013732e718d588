package record

import "facteur/flow/diag"

// Codes are the diagnostics of this package with their explanations, in the order of the
// reference.
var Codes = diag.Codebook{
	{"not-a-recording", `The file is not a Facteur recording. A recording is a YAML file with one key, "exchanges": a list of {step, request, response}. HAR files, cassettes of other tools and bare lists are not read; write a recording with "facteur test --record", or put the list under "exchanges:".`},
	{"recording-unknown-key", `An exchange, its request or its response has an unknown key. An exchange has step, times, request and response; a request has method, path or url, query, headers, and one of json, text and form; a response has status, headers, one of json, text and html, delay, truncated, or lost.`},
	{"recording-wrong-kind", `A value in a recording is of the wrong kind for its key, e.g. a list in place of text. The message says which kind is expected.`},
	{"recording-missing-key", `An exchange needs a request and a response, and a request needs a path (for any host) or a url (for that host).`},
	{"recording-conflict", `Two keys exclude each other: a body is one of json, text, form or html; a request has a path or a url; a lost answer has no status and no body; a query is in the path or under "query".`},
	{"recording-bad-value", `A value in a recording is of the right kind but not valid: a status outside 100 to 599, a path without its leading "/", a duration that cannot be parsed, times below 1, "request: same" on the first exchange.`},
	{"unknown-matcher", `A key that starts with "$" is a matcher: $any, $regex, $cel, or $more: true beside an object's own keys. If a key really starts with "$", write two: "$$key".`},
	{"bad-matcher", `A matcher is used incorrectly: {$any: true}, {$regex: "…"} and {$cel: "…"} must each be alone in their object; $more must be true and be beside other keys; $regex uses the RE2 syntax, unanchored, and matches text.`},
}
