package flow

import "facteur/flow/diag"

// Codes are the diagnostics of this package, explained.
var Codes = diag.Codebook{
	// The file.
	{"empty-file", "The file holds nothing but comments and blanks. A flow needs at least `flow` and `steps`."},
	{"too-large", "The file is larger than 1 MiB. Split the flow: `call` runs one flow from another."},
	{"invalid-utf8", "The file has a byte that is not UTF-8, often an accented letter saved as Latin-1. Save the file as UTF-8."},
	{"control-character", "The file has a character that cannot be seen and that YAML does not allow or that YAML readers disagree about: a control character, a lone carriage return, a Unicode line separator, a byte order mark in the middle. Remove it, or write it as an escape in double quotes."},
	{"multiple-documents", "A line with --- starts a second YAML document. A file holds one flow; put the other into a file of its own."},
	{"too-deep", "Values are nested more than 100 deep, brackets and indentation together."},
	{"too-many-aliases", "An alias (*name) repeats a value. Written out, all of them make more than 100,000 values, or a value repeats itself. Write the values out, or make a flow of them and `call` it."},
	{"too-many-steps", "A flow has at most 1,000 steps, inner ones included. Split it: `call` runs one flow from another."},

	// YAML.
	{"yaml-syntax", "The text is not YAML. The place is where reading could not go on; the cause may be a little above it: an indentation, a quote or a bracket."},
	{"tab-indent", "YAML is indented with spaces. Most editors can turn tabs into spaces."},
	{"bad-indent", "The line starts in a column that belongs to no key or dash above it, or it is indented below a line that has its value already. Lines that belong together start in the same column."},
	{"unquoted-expression", "Inside { } and [ ] the brace of an expression means something to YAML. Quote it there: {phone: \"${inputs.phone}\"}. On a line of its own, phone: ${inputs.phone} needs no quotes."},
	{"unquoted-colon", "In an unquoted text a colon with a space after it makes a key of what stands before. Quote the text, or write it on the next line after >-. That is also so for a ternary in an expression: text: \"${a ? b : c}\"."},
	{"unquoted-hash", "Inside { } or [ ] a # after a space starts a comment, which takes the closing bracket with it. Quote the text."},
	{"unquoted-question", "Inside { } and [ ] a question mark ends an unquoted text. Quote the text: {body: \"Êtes-vous là ?\"}. On a line of its own, body: Êtes-vous là ? needs no quotes."},
	{"unquoted-start", "A text cannot start with this character without quotes, because it means something to YAML: * is an alias, & an anchor, @ and ` are reserved, % is a directive, | and > start a block, a dash a list. Quote the text, e.g. \"*bold*\"."},
	{"unquoted-braces", "A text that starts with {{ is a map in a map to YAML. Quote it: \"{{1}}\"."},
	{"truncated-by-comment", "A # after a space starts a comment, so that the value ends before it. Quote the whole text if the # belongs to it: \"Colis #${inputs.id}\". If a comment is meant, leave a space after the # and keep ${ out of it, or give it a line of its own."},
	{"text-after-quote", "A value that starts with a quote ends with the next one. Inside '…' write '' for a quote, inside \"…\" write \\\", or use the other kind of quotes outside."},
	{"text-after-bracket", "A value that starts with [ or { ends with the bracket that closes it. Quote the text if it is one."},
	{"unclosed-quote", "A quoted text is never closed. Check for an apostrophe at the start of a text, and for a quote that is missing at the end of the line."},
	{"unclosed-bracket", "A { or [ is never closed, or it is closed by the other kind."},
	{"bad-escape", "Inside double quotes a backslash starts an escape, and YAML has no such escape. For patterns use single quotes, where a backslash is itself: '^\\d+$'. Write an emoji as itself, not as two \\u."},
	{"bad-condition-start", "A condition (`if`, `when`) that starts with a quote, a bracket or ! is read by YAML as a quoted text, a list or a tag. Quote the whole condition, if: '\"a\" == inputs.x', or write it on the next line after >-."},
	{"explicit-tag", "Tags such as !!str are not part of this language. Quote a value to make it text; quote a text that starts with !."},
	{"merge-key", "Merge keys (<<) are not part of this language. Write the keys out."},
	{"null-key", "A key of a map is null: ~, null or nothing at all. Quote it if the text is meant."},
	{"bad-key", "A key of a map is a list or a map. Quote it if a text is meant."},
	{"duplicate-key", "A map has the same key twice, and one of the values would be lost. Remove one of them."},
	{"unquoted-bracket", "Inside { } and [ ] an unquoted text ends before a bracket. Put the whole text, such as the condition event.reply_id in [\"yes\", \"no\"], into quotes."},
	{"unquoted-comma", "Inside { } and [ ] a comma stands between values, also behind a word of a text. Put a text with a comma into quotes."},
	{"missing-value", "Inside { } a key stands without a value, as in {inputs.phone}. An expression is written \"${inputs.phone}\", with quotes; a key without a value as {key: null}."},

	// Keys and shapes.
	{"not-indented", "A key that takes keys and values has none, and what belongs to it starts in the same column as it. Move those lines to the right."},
	{"unknown-key", "The language has no such key in this place, and it is not ignored. The hint lists the keys that it has."},
	{"misplaced-key", "The key exists, but it belongs to another kind of step or type."},
	{"missing-key", "A key that this place cannot do without is missing."},
	{"reserved-key", "The key will be given a meaning in a later version of the language. Remove it."},
	{"wrong-kind", "The value is of another kind than this place takes: a list for a map, a number for a text. Only true and false are booleans; yes, no, on and off are texts."},
	{"two-kinds", "A step does one thing: it has exactly one of action, set, switch, foreach, parallel, try, wait, wait_until, wait_for, call, return, fail. Make two steps of it. The same is so for triggers."},
	{"no-kind", "The step does not say what to do. It needs exactly one of action, set, switch, foreach, parallel, try, wait, wait_until, wait_for, call, return, fail; a trigger one of webhook, schedule, whatsapp_message."},
	{"empty-steps", "A list of steps is empty. In a case of `switch` or `catch`, and in `default`, [] says that nothing is to be done."},
	{"empty-list", "A list or map that has to have something in it is empty."},

	// Values.
	{"bad-id", "Names of flows, inputs, steps, variables, branches, items and outputs are written a-z, 0-9 and _, start with a letter, have at most 63 characters, and are no words of the expression language (true, in, for …)."},
	{"duplicate-id", "Two steps have the same id. Ids are unique in the whole flow, inner steps and on_failure included."},
	{"bad-duration", "A duration is written with its unit: 500ms, 20s, 10m, 24h, 7d (a day is 24 hours), or 1h30m. Time-outs and delays of retries are literal and longer than nothing."},
	{"bad-number", "The number is outside the bounds of this place, or one that cannot be kept exactly: an integer of more than 64 bits, infinity. Quote a long number to keep it as text."},
	{"bad-value", "The value is none of those that this place takes. The hint lists them."},
	{"bad-connection", "A connection is the name of an entry in the vault: letters, digits, _ . - and at most 64 of them. A token never stands in a flow; keep it with \"facteur vault set\"."},
	{"bad-pattern", "The pattern is not a regular expression in the RE2 syntax, which has no look-around and no back-references."},
	{"bad-default", "The default of an input does not fit the type that is declared beside it."},
	{"bad-path", "The path of a webhook starts with / and has no spaces, ? or #."},
	{"literal-only", "This place is read before the flow runs, so that it takes a value and no expression."},
	{"braced-condition", "`if` and `when` are expressions as they are, without ${ }: if: inputs.vip."},
}
