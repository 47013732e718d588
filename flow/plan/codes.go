package plan

import "facteur/flow/diag"

// Codes are the diagnostics of this package, explained; those of values against their
// types, which package schema finds, among them.
var Codes = diag.Codebook{
	// Names.
	{"unknown-action", "There is no action of that name. `facteur actions` lists them."},
	{"unknown-event", "There is no event of that name to wait for. `facteur actions` lists them."},
	{"unknown-flow", "The project has no flow of that name. Its flows are the files that end in .flow.yaml in the folders that facteur.yaml names; a flow's name is its `flow` key, not its file name."},
	{"unknown-state", "The action has no such state to await. The hint lists those that it has."},
	{"unknown-field", "The object has no such field. Messages are checked against a closed list of fields because Meta refuses what it does not know. The hint lists what there is."},
	{"bad-item", "The item of a foreach needs a name that expressions do not have yet: inputs, steps, vars, settings, run, error and event are variables of every flow, and functions such as size have theirs."},
	{"duplicate-flow", "Two files of the project define a flow of the same name. Rename one."},

	// Connections, receipts, calls.
	{"missing-connection", "An action needs credentials: give the step `connection` with a name in the vault. A webhook needs to know who may send it: give the trigger, or `wait_for`, the name of a connection of app WEBHOOK, or `connection: none` to let anybody."},
	{"near-connection", "Neither the project file nor the environment nor the encrypted file has a connection of that name, but one of nearly that name. It may be a misspelling. If it is another one, which only the machine has that runs the flow, name it under `connections` in the project file."},
	{"wrong-connection", "The connection is for another app: whatsapp actions need a connection of app WHATSAPP, http.request one of app HTTP, webhooks one of app WEBHOOK."},
	{"no-receipts", "`await` waits for news about a call after its answer, and this action has none."},
	{"bad-subject", "The value of `from`, `path` or `sender_phone_id` can belong to no event."},
	{"call-cycle", "A flow calls itself, directly or through others, so that it would never end."},
	{"called-flow", "The flow that the step calls has mistakes of its own, which are reported in its file."},
	{"return-here", "`return` ends the flow, but here other steps run at the same time, so that it has no meaning. Give the value outward with outputs or collect, and return after."},

	// Values.
	{"bare-expression", "A text is the name of a value, without the ${ } that would put the value there: every run would have the same text, as the key of a dedupe, of a concurrency or of once too. If the text itself is meant, write ${\"inputs.phone\"}."},
	{"type-mismatch", "The expression gives another type than this place takes. Convert it: string(…), int(…), duration(…), timestamp(…). An optional value needs orValue(…) where a value must be."},
	{"variable-type", "A variable keeps the type of the first value that the file gives it. Use another name for another type."},
	{"required", "A field that is required is missing."},
	{"type", "The value is of another type than this place takes."},
	{"enum", "The value is none of those that this place takes. The hint lists them."},
	{"pattern", "The text does not have the form that this place takes."},
	{"format", "The text is not of the format that is declared: an E.164 phone number starts with + and the country code, as in +33612345678."},
	{"min-length", "The text is shorter than allowed."},
	{"max-length", "The text is longer than allowed. Characters are Unicode scalar values."},
	{"utf16-length", "The text is within the limit counted in characters, but over it counted in UTF-16 units, as some of Meta's clients count: emoji count twice."},
	{"minimum", "The number is smaller than allowed."},
	{"maximum", "The number is larger than allowed."},
	{"min-items", "The list has fewer items than allowed."},
	{"max-items", "The list has more items than allowed."},
	{"bad-cron", "A cron expression has five fields: minute, hour, day of the month, month, day of the week (0 to 7, Sunday is 0 and 7, or sun to sat). Each is *, a number, a range a-b, with /n for every nth, or a list of those with commas. There has to be such a day. Where clocks are changed, a time of day that does not exist comes at the jump, once, and one that exists twice comes once; with * as the hour, it comes whenever the clock shows it."},
	{"bad-timezone", "The time zone is not in the IANA database. Names look like Europe/Paris."},

	// Advice.
	{"unused-input", "No expression of the flow reads the input. It may be a misspelling elsewhere, or a leftover."},
	{"copied-variable", "A foreach copies the variables in and nothing out: a count that is kept in one begins anew with each item, and is not seen after the loop. Give a value for each item to `collect`, and put them together after the loop: steps.<id>.outputs.items.filter(i, i == \"failed\").size()."},
	{"endless-finally", "The steps of `finally` run to their end whatever happened before, also when the run was cancelled or its time is over. A wait_for without a timeout may hold up that end forever."},
	{"unreachable", "The step never runs because the one above always ends the flow."},
}
