package expr

import "facteur/flow/diag"

// Codes are the diagnostics of this package with their explanations.
var Codes = diag.Codebook{
	{"double-braces", "An expression is written ${ … } with one brace. ${{ … }} belongs to other tools. An expression that begins with a map literal needs a space: ${ {\"fr\": \"Bonjour\"}[inputs.lang] }."},
	{"empty-expression", "There is nothing between ${ and }, or a condition is empty. Write an expression, or $${ for the two characters ${."},
	{"expression-syntax", "The expression is not CEL. Strings are written between straight quotes, == compares, && || ! join conditions, and a choice is written test ? yes : no. A condition (if, when, assert) is bare CEL, without ${ }."},
	{"invalid-literal", "An argument that is written in the expression cannot be right: a regular expression that does not compile, a duration other than 90s, 24h or 7d, a timestamp other than RFC 3339, an unknown region or time zone, a format that does not fit its values."},
	{"maybe-unset", "The expression reads a part of a step that may not be there: the step may not have run, or it failed and the output is not one that a failure has too. Or it reads a variable that not every way to this place sets, or a property of an input that its type does not require, an output that a step may succeed without, such as one that a called flow has not where it returns early (a warning where an action mostly gives it), or a part of a variable that was set from such a value. Test it first, with an `if` on the step's status, with has(…), or read it with .? and say with orValue(…) what to take instead; a property of an input may also get a default."},
	{"not-a-value", "What the expression gives is no value of a flow: steps as a whole, a step as a whole, bytes, a type, or a map whose keys are not strings."},
	{"not-text", "The expression stands inside a text but gives null, a list, a map or an optional value, which have no form in a text. Choose a field, join a list, use json(…), or orValue(…)."},
	{"out-of-scope", "The step exists but cannot be read from here, for instance because it runs in a sibling branch or inside a loop. Give what is needed outward with collect or after the branches."},
	{"type-mismatch", "An operator or a function is given types that it does not take, or a condition gives something other than a bool. Types are known before the run: convert with string(…), int(…), double(…), and compare things of one type."},
	{"unknown-field", "The object has no such field, or there is no such step. The hint lists what there is."},
	{"unknown-function", "There is no function of that name, or it is not called like this. The hint shows how it is called."},
	{"unknown-name", "An expression begins with one of the variables inputs, steps, vars, settings, run, and, where they exist, error, event and the item of a foreach. The hint lists those that can be read here."},
	{"unknown-status", "A step's status is compared with a word that it never is. It is succeeded, failed or skipped."},
	{"unknown-value", "An input is compared with a text that is not among those that its enum allows, so that they are never equal. Capitals count."},
	{"unterminated-expression", "A ${ has no matching }. Braces inside CEL strings do not count; an unclosed quote swallows the brace. Write $${ for the two characters ${."},
}
