package flow

import "facteur/flow/diag"

// Codes are the diagnostics of this package, explained.
var Codes = diag.Codebook{
	// The file.
	{"empty-file", "The file contains only comments and blank lines, or nothing at all. A flow needs at least `flow` and `steps`."},
	{"too-large", "The file is larger than 1 MiB. Split the flow: `call` runs one flow from another."},
	{"invalid-utf8", "The file has a byte that is not UTF-8, often an accented letter saved as Latin-1. Save the file as UTF-8."},
	{"control-character", "The file contains a character that is invisible and that YAML does not allow or YAML readers disagree about: a control character, a lone carriage return, a Unicode line separator, a byte order mark in the middle. Remove it, or write it as an escape in double quotes."},
	{"multiple-documents", "A line with --- starts a second YAML document, but a file can hold only one. Move the other to a file of its own."},
	{"too-deep", "Values are nested more than 100 levels deep, counting brackets and indentation."},
	{"too-many-aliases", "An alias (*name) repeats a value. With all aliases expanded the file has more than 100,000 values, or a value contains itself. Write the values out, or move the repeated steps to a flow and `call` it."},
	{"too-many-steps", "A flow can have at most 1,000 steps, including nested ones. Split it: `call` runs one flow from another."},

	// YAML.
	{"yaml-syntax", "The text is not valid YAML. The position is where the parser had to stop; the cause may be a little above it: an indentation, a quote or a bracket."},
	{"tab-indent", "YAML must be indented with spaces, not tabs. Most editors can convert them."},
	{"bad-indent", "The line starts in a column that matches no key or dash above it, or it is indented under a line that already has a value. Lines that belong together start in the same column."},
	{"unquoted-expression", "Inside { } and [ ] the braces of an expression have a meaning in YAML. Quote the expression there: {phone: \"${inputs.phone}\"}. On a line of its own, phone: ${inputs.phone} needs no quotes."},
	{"unquoted-colon", "In unquoted text, a colon followed by a space turns what is before it into a key. Quote the text, or write it on the next line after >-. The same applies to ? : in an expression: text: \"${a ? b : c}\"."},
	{"unquoted-hash", "Inside { } or [ ] a # after a space starts a comment, which swallows the closing bracket. Quote the text."},
	{"unquoted-question", "Inside { } and [ ] a question mark ends unquoted text. Quote it: {body: \"Êtes-vous là ?\"}. On a line of its own, body: Êtes-vous là ? needs no quotes."},
	{"unquoted-start", "Unquoted text cannot start with this character, because it has a meaning in YAML: * is an alias, & an anchor, @ and ` are reserved, % is a directive, | and > start a block, a dash starts a list. Quote the text, e.g. \"*bold*\"."},
	{"unquoted-braces", "YAML reads text that starts with {{ as a map inside a map. Quote it: \"{{1}}\"."},
	{"truncated-by-comment", "A # after a space starts a comment, so the value ends before it. If the # is part of the text, quote the whole text: \"Colis #${inputs.id}\". If you mean a comment, put a space after the # and no ${ in it, or give it a line of its own."},
	{"text-after-quote", "A value that starts with a quote ends at the next one. Inside '…' write '' for a quote, inside \"…\" write \\\", or use the other kind of quotes on the outside."},
	{"text-after-bracket", "A value that starts with [ or { ends at the matching closing bracket. Quote the value if it is text."},
	{"unclosed-quote", "Quoted text is never closed. Check for an apostrophe at the start of the text, and for a missing quote at the end of the line."},
	{"unclosed-bracket", "A { or [ is never closed, or is closed by the other kind of bracket."},
	{"bad-escape", "In double quotes a backslash starts an escape, and YAML has no such escape. For patterns use single quotes, where a backslash needs no escape: '^\\d+$'. Write an emoji as itself, not as two \\u escapes."},
	{"bad-condition-start", "YAML reads a condition (`if`, `when`) that starts with a quote, a bracket or ! as quoted text, a list or a tag. Quote the whole condition, if: '\"a\" == inputs.x', or write it on the next line after >-."},
	{"explicit-tag", "Tags such as !!str are not part of this language. Quote a value to make it text; quote text that starts with !."},
	{"merge-key", "Merge keys (<<) are not part of this language. Write the keys out."},
	{"null-key", "A key of a map is null: ~, null or nothing at all. Quote it if you mean text."},
	{"bad-key", "A key of a map is a list or a map. Quote it if you mean text."},
	{"duplicate-key", "A map has the same key twice, so one of the values would be lost. Remove one of them."},
	{"unquoted-bracket", "Inside { } and [ ] unquoted text ends at a bracket. Quote the whole text, such as the condition event.reply_id in [\"yes\", \"no\"]."},
	{"unquoted-comma", "Inside { } and [ ] a comma always ends a value, even in the middle of text. Quote text that contains a comma."},
	{"missing-value", "Inside { } a key has no value, as in {inputs.phone}. Write an expression in quotes, \"${inputs.phone}\"; write a key without a value as {key: null}."},

	// Keys and shapes.
	{"not-indented", "A key that needs a map has no value, and the lines that belong to it start in the same column as the key. Indent those lines further."},
	{"unknown-key", "The language has no such key here, and unknown keys are not ignored. The hint lists the known ones."},
	{"misplaced-key", "The key exists, but it belongs in another place: in another kind of step or type, or one level higher or lower."},
	{"missing-key", "A required key is missing."},
	{"reserved-key", "The key is reserved: a later version of the language will give it a meaning. Remove it."},
	{"wrong-kind", "The value is of the wrong kind, such as a list in place of a map, or a number in place of text. Only true and false are booleans; yes, no, on and off are text."},
	{"two-kinds", "A step does one thing: it has exactly one of action, set, switch, foreach, parallel, try, wait, wait_until, wait_for, call, return, fail. Split it into two steps. Likewise, a trigger has exactly one of webhook, schedule, whatsapp_message."},
	{"no-kind", "The step does not say what to do. It needs exactly one of action, set, switch, foreach, parallel, try, wait, wait_until, wait_for, call, return, fail; a trigger one of webhook, schedule, whatsapp_message."},
	{"empty-steps", "A list of steps is empty. To do nothing in a case of `switch` or `catch`, or in `default`, write []."},
	{"empty-list", "A list or map is empty, but needs at least one entry."},

	// Values.
	{"bad-id", "Names of flows, inputs, steps, variables, branches, items and outputs start with a lowercase letter (a-z), contain only lowercase letters, digits and _, have at most 63 characters, and are not reserved words in expressions (true, in, for …)."},
	{"duplicate-id", "Two steps have the same id. Ids must be unique in the whole flow, including nested steps and on_failure."},
	{"bad-duration", "A duration is a number with a unit: 500ms, 20s, 10m, 24h, 7d (a day is 24 hours), or several, 1h30m. Time-outs and retry delays must be literal and longer than zero."},
	{"bad-number", "The number is outside the allowed range, or cannot be represented exactly: an integer that does not fit in 64 bits, infinity. Quote a long number to keep it as text."},
	{"bad-value", "The value is not one of those that are allowed here. The hint lists them."},
	{"bad-connection", "A connection is the name of an entry in the vault: at most 64 letters, digits, _ . or -, starting with a letter. Never write a token in a flow; store it with \"facteur vault set\"."},
	{"bad-pattern", "The pattern is not a valid regular expression in the RE2 syntax, which has no look-around and no back-references."},
	{"bad-default", "The default of an input is not valid for the type declared beside it."},
	{"bad-path", "The path of a webhook must start with / and must not contain spaces, ? or #."},
	{"literal-only", "This value is read before the flow runs, so it must be a literal, not an expression."},
	{"braced-condition", "`if` and `when` are expressions already and must not have ${ }: if: inputs.vip."},
}
