package record

import "facteur/flow/diag"

// Codes are the diagnostics of this package with their explanations, in the order of the
// reference.
var Codes = diag.Codebook{
	{"not-a-recording", `The file is no recording of Facteur's. A recording is a YAML file with the one key "exchanges": a list of {step, request, response}. HAR files, cassettes of other tools and bare lists are not read; write one with "facteur test --record", or put the list under "exchanges:".`},
	{"recording-unknown-key", `An exchange, its request or its response has a key that means nothing there. An exchange has step, times, request and response; a request has method, path or url, query, headers, and one of json, text and form; a response has status, headers, one of json, text and html, delay, truncated, or lost.`},
	{"recording-wrong-kind", `A value of a recording is of another kind than its key wants, e.g. a list where a text is due. The message says which.`},
	{"recording-missing-key", `An exchange needs a request and a response, and a request needs a path (any host) or a url (that host).`},
	{"recording-conflict", `Two keys exclude each other: a body is one of json, text, form or html; a request has a path or a url; a lost answer has no status and no body; a query stands in the path or under "query".`},
	{"recording-bad-value", `A value of a recording is of the right kind but cannot be: a status outside of 100 to 599, a path without its leading "/", a duration that is none, times below 1, "request: same" on the first exchange.`},
	{"unknown-matcher", `A key that begins with "$" is a matcher: $any, $regex, $cel, or $more: true beside an object's own keys. A key that really begins with "$" is written with two: "$$key".`},
	{"bad-matcher", `A matcher is not used as it can be: {$any: true}, {$regex: "…"} and {$cel: "…"} each stand alone in their object; $more is true and stands beside other keys; $regex is RE2 syntax, unanchored, over texts.`},
}
