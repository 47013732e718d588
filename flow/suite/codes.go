package suite

import "facteur/flow/diag"

// Codes are the diagnostics of this package, explained. What is wrong with values and
// with exchanges has the codes of packages plan and record.
var Codes = diag.Codebook{
	{"broken-flow", "The flow that the file tests has errors, perhaps only with the settings of this case. `facteur validate` lists them."},
	{"duplicate-case", "Two cases of a test file have the same name, so a report could not tell them apart."},
	{"incomplete-event", "An event of a test must say what comes, event: KIND or receipt: STEP, and when: at: 1h from the run's start, or after: STEP and in: 5s from that step's call."},
	{"not-an-action", "Only a call can be held back or have the host crash in it, and only steps with an action make calls."},
	{"not-triggered", "The trigger of the case would not start the flow: the flow has no such trigger, its when is false, or the inputs that it gives are not valid. If that is intended, expect error: {code: not_triggered}."},
	{"test-conflict", "Two keys of a test exclude each other: inputs, inputs_file and trigger, exchanges and recording, at and after, event and receipt, status: succeeded and error."},
	{"unknown-step", "The flow has no step with that id or path. The hint lists its steps and those of the flows that it calls. A step inside a foreach is named by its id, or with its iteration: everyone[0].send."},
	{"unused-connection", "The case gives a connection that no step of the flow names. It may be a misspelling."},
}
