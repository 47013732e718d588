package expr

import "facteur/flow/diag"

// Codes are the diagnostics of this package with their explanations.
var Codes = diag.Codebook{
	{"double-braces", "An expression is written ${ … } with single braces. ${{ … }} belongs to other tools. An expression that starts with a map literal needs a space: ${ {\"fr\": \"Bonjour\"}[inputs.lang] }."},
	{"empty-expression", "There is nothing between ${ and }, or a condition is empty. Write an expression, or $${ for the two characters ${."},
	{"expression-syntax", "The expression is not valid CEL. Strings are written between straight quotes, == compares, && || ! combine conditions, and a choice is written test ? yes : no. A condition (if, when, assert) is bare CEL, without ${ }."},
	{"invalid-literal", "An argument written in the expression is not valid: a regular expression that does not compile, a duration other than 90s, 24h or 7d, a timestamp other than RFC 3339, an unknown region or time zone, a format that does not match its values."},
	{"maybe-unset", "The expression reads something that may be absent: a part of a step that may not have run, or that may have failed without setting the output; a variable that is not set on every path to this place; a property that the type of an input does not require; an output that a step may succeed without, such as one of a called flow that may return early (a warning where an action nearly always sets it); or a part of a variable that was set from such a value. Test it first, with an `if` on the step's status or with has(…), or read it with .? and give a fallback with orValue(…); a property of an input can also have a default."},
	{"not-a-value", "The result of the expression cannot be a value in a flow: it is steps as a whole, a step as a whole, bytes, a type, or a map whose keys are not strings."},
	{"not-text", "The expression is inside text, but gives null, a list, a map or an optional value, which have no text form. Choose a field, join a list, or use json(…) or orValue(…)."},
	{"out-of-scope", "The step exists but cannot be read from here, for instance because it runs in a sibling branch or inside a loop. Pass the value out with collect, or read it after the branches."},
	{"type-mismatch", "An operator or a function is given types that it does not accept, or a condition gives something other than a bool. Types are known before the run: convert with string(…), int(…), double(…), and compare values of the same type."},
	{"unknown-field", "The object has no such field, or there is no such step. The hint lists the known ones."},
	{"unknown-function", "There is no function of that name, or it is called with the wrong arguments. The hint shows how to call it."},
	{"unknown-name", "An expression can start with one of the variables inputs, steps, vars, settings, run, and, where they exist, error, event and the item of a foreach. The hint lists those that can be read here."},
	{"unknown-status", "A step's status is compared with a word that it can never be. It is succeeded, failed or skipped."},
	{"unknown-value", "An input is compared with text that is not one of the values in its enum, so they are never equal. Upper and lower case matter."},
	{"unterminated-expression", "A ${ has no matching }. Braces inside CEL strings do not count; an unclosed quote swallows the brace. Write $${ for the two characters ${."},
}
