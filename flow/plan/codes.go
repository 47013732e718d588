package plan

import "facteur/flow/diag"

// Codes are the diagnostics of this package, explained; those of values against their
// types, which package schema finds, among them.
var Codes = diag.Codebook{
	// Names.
	{"unknown-action", "There is no action of that name. `facteur actions` lists them."},
	{"unknown-event", "There is no event of that name to wait for. `facteur actions` lists them."},
	{"unknown-flow", "The project has no flow of that name. Its flows are the files that end in .flow.yaml in the folders that facteur.yaml names; a flow's name is its `flow` key, not its file name."},
	{"unknown-state", "The action has no such state to await. The hint lists the known ones."},
	{"unknown-field", "The object has no such field. Messages are checked against a closed list of fields, because Meta refuses unknown ones. The hint lists the known ones."},
	{"bad-item", "The item of a foreach needs a name that means nothing else in expressions: inputs, steps, vars, settings, run, error and event are variables of every flow, and functions such as size are taken too."},
	{"duplicate-flow", "Two files of the project define a flow with the same name. Rename one."},

	// Connections, receipts, calls.
	{"missing-connection", "An action needs credentials: give the step a `connection` with a name from the vault. A webhook needs to know who may send it: give the trigger, or `wait_for`, the name of a connection of app WEBHOOK, or write `connection: none` to let anybody send it."},
	{"near-connection", "No connection of that name is known to the project file, the environment or the encrypted file, but one with a similar name is. It may be a misspelling. If it is another connection, which exists only on the machine that runs the flow, name it under `connections` in the project file."},
	{"wrong-connection", "The connection is for another app: whatsapp actions need a connection of app WHATSAPP, http.request one of app HTTP, webhooks one of app WEBHOOK."},
	{"no-receipts", "`await` waits for news about a call after its answer, and this action never gets any."},
	{"bad-subject", "No event can ever match the value of `from`, `path` or `sender_phone_id`, or the value leaves open who may send the event."},
	{"call-cycle", "A flow calls itself, directly or through other flows, so it would never end."},
	{"called-flow", "The flow that the step calls has errors of its own, which are reported in its file."},
	{"return-here", "`return` ends the flow, but other steps run at the same time here, so it is not allowed. Pass the value on with outputs or collect, and return afterwards."},

	// Values.
	{"bare-expression", "The text is the name of a value, but without the ${ } that would insert the value: every run would use the same text, even as the key of a dedupe, a concurrency or a once. If you mean the text itself, write ${\"inputs.phone\"}."},
	{"type-mismatch", "The type of the expression is not the one that is expected here. Convert it: string(…), int(…), duration(…), timestamp(…). Where a value is required, give an optional one a fallback with orValue(…)."},
	{"variable-type", "A variable keeps the type of the first value that it gets in the file. Use another name for another type."},
	{"required", "A required field is missing."},
	{"type", "The value is not of the expected type."},
	{"enum", "The value is not one of those that are allowed here. The hint lists them."},
	{"pattern", "The text does not match the expected pattern."},
	{"format", "The text is not in the declared format: an E.164 phone number starts with + and the country code, as in +33612345678."},
	{"min-length", "The text is shorter than allowed."},
	{"max-length", "The text is longer than allowed. Characters are Unicode scalar values."},
	{"utf16-length", "The text is within the limit when characters are counted, but over it when UTF-16 units are counted, as some of Meta's clients do: emoji count twice."},
	{"minimum", "The number is smaller than allowed."},
	{"maximum", "The number is larger than allowed."},
	{"min-items", "The list has fewer items than allowed."},
	{"max-items", "The list has more items than allowed."},
	{"bad-cron", "A cron expression has five fields: minute, hour, day of the month, month, day of the week (0 to 7, Sunday is 0 and 7, or sun to sat). Each is *, a number, a range a-b, any of them with /n for every nth, or a comma-separated list of those. The date must exist. When clocks change, a time of day that is skipped runs once, at the change, and one that occurs twice runs once; with * as the hour, it runs whenever the clock shows it."},
	{"bad-timezone", "The time zone is not in the IANA database. Names look like Europe/Paris."},

	// Advice.
	{"unused-input", "No expression in the flow reads the input. It may be misspelled elsewhere, or a leftover."},
	{"copied-variable", "A foreach gives each iteration a copy of the variables and copies nothing back: a counter kept in one starts anew with each item, and its changes are lost after the loop. Return a value from each iteration with `collect`, and combine them after the loop: steps.<id>.outputs.items.filter(i, i == \"failed\").size()."},
	{"endless-finally", "The steps of `finally` always run to their end, whatever happened before, even if the run was cancelled or timed out. A wait_for without a timeout may delay that end forever."},
	{"unreachable", "The step never runs because the one above always ends the flow."},
}
