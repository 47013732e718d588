package main

import "facteur/flow/diag"

// stepCodes are the codes of steps.<id>.error that are words, explained. Numbers are
// those of Meta's catalogue.
var stepCodes = diag.Codebook{
	{"outcome_unknown", "No answer came, or one that does not say whether the call happened: a time-out, a connection that broke, an answer that was cut or that is not the API's. It may have happened, so it is not repeated behind your back. Before you send again, ask who should have got the message, or look for a status webhook whose biz_opaque_callback_data is the key of the call. `on_unknown: resend` says that a second message does no harm; `idempotent: true` that a second request does none."},
	{"invalid_input", "What the step was given cannot be right, which shows only at run time, such as a phone number that does not exist. Nothing was sent; other steps are not concerned."},
	{"expression_failed", "An expression could not be evaluated: an index past the end, a division by zero, a text that is no number, a cost over the limit. The message says where."},
	{"timeout", "The time of the step is over: nothing came that it waited for, or the call could not even begin. A call that had begun is outcome_unknown instead."},
	{"cancelled", "The run was cancelled before the step's call was made, or while it waited."},
	{"connection", "The step's connection cannot be used: it is not in the vault, it lacks a field, it is for another app, or the vault cannot be read. Nothing was sent. `facteur vault list` shows the connections, `facteur vault check NAME` tests one."},
	{"auth", "The credentials were refused, also after they had been read from the vault again. `facteur vault check NAME` tells more."},
	{"network", "The server could not be reached, or not be trusted: its name, its port, its certificate. Nothing was sent."},
	{"window_closed", "The recipient has not written within 24 hours, so WhatsApp takes only a template. Nothing was sent. Send a template, or give the step a `fallback`."},
	{"opted_out", "The person wants no marketing messages from this number, and the template is one. Nothing was sent. What is no marketing can still be sent."},
	{"once_unsettled", "An earlier send with the same `once` key may have gone out, and nobody knows yet. Nothing was sent, so that the message does not come twice. Settle the earlier one (`facteur runs list --status unknown`, `facteur runs settle`), or wait for its receipt."},
	{"no_ledger", "`once` needs a record of what was sent, and there is none here. Nothing was sent."},
	{"ledger", "The record of what was sent could not be read or written, so that `once` cannot be kept. Nothing was sent. `facteur health` tells what is wrong with it."},
	{"undelivered", "Meta had accepted the message, and a receipt says that it was not delivered. It is not sent again."},
	{"http_status", "The server answered with a status that means failure: 400 and above, or one that expect_status does not name. The step's outputs hold the answer."},
	{"host_refused", "The project file allows http.request only some hosts, and this is none of them: http.allow_hosts."},
	{"address_refused", "The host has a private address, or one of this machine, which http.request does not call unless the project file says so: http.allow_private, or the address itself in http.allow_hosts."},
	{"redirects", "The server sent the request on too often, from https to http, or to a host that is not allowed. Call the last address itself."},
	{"invalid_request", "The request could not be written: an address without a host, or a header with a line break. Nothing was sent."},
	{"not_sent", "Nothing was sent: the call was refused before it left, or a person settled that it did not happen (`facteur runs settle --not-sent`). `facteur runs retry` does it again."},
	{"answer_too_long", "The answer is longer than the action takes, 1 MiB for most. It was not read to its end."},
	{"answer_cut", "The answer broke off. The request may be repeated, as doing it twice is harmless; where it is not, the code is outcome_unknown."},
	{"panic", "A fault of facteur itself broke the call off, and whether it happened is not known. The log of the daemon has its stack."},
	{"broken", "A fault of facteur itself broke the call off; it may be repeated, as doing it twice is harmless. The log of the daemon has its stack."},
	{"failed", "The call failed, and nothing said why."},
	{"unknown_action", "The flow calls an action that this facteur does not have: another version of it started the run."},
	{"rejected", "As many runs of the flow were under way as its `concurrency` allows, with `on_conflict: reject`. The run never began."},
	{"replay_mismatch", "What is stored of the run does not fit its flow or this version of facteur, or a fault of facteur stopped it: it goes no further, so that nothing is guessed. The message says why. `facteur runs release RUN` tries again, `facteur runs cancel RUN` gives it up; calls of which nobody knows what became are listed by `facteur runs list --status unknown`."},
	{"too_large", "What the call was given, or its answer, is larger than a run may store. Pass on where to find it instead, or divide it."},
	{"not_begun", "The call was about to begin, and could not be recorded as begun: the disk, or the server that keeps the run, did not take it, or has given the call up. Nothing was sent. The message says why; `facteur health` tells what is wrong."},
	{"held", "The call was about to begin when somebody paused what it is about. Nothing was sent; it is made after `facteur resume`, and `facteur holds` shows what is paused."},
	{"limit", "The call waits for its turn at a limit, such as the rate of a number. Nothing was sent; it is made when its turn has come."},
	{"not_started", "No worker of the Temporal server took the call up in time: it was not made."},
	{"terminated", "Somebody ended the run with the tools of the Temporal server. What was under way may have happened."},
	{"not_recorded", "A request was made that the recording does not have. What differs from the nearest exchange is shown."},
}

// requestCodes are the rules that the inputs of http.request keep, explained.
var requestCodes = diag.Codebook{
	{"http-url", "The address is not one of http or https, or it lacks its https://, without which it is a path below the `base_url` of the connection."},
	{"http-host", "The project does not allow that server: `http: {allow_hosts: […]}` in facteur.yaml lists those that it does, and `allow_private: true` lets requests into private networks. A connection leads nowhere else either."},
	{"http-one-body", "A request has one body: `json`, `form` or `text`."},
	{"http-body-method", "GET and HEAD take no body. Set `method` to POST, PUT or PATCH, or put the values into `query`."},
	{"http-expect-status", "`expect_status` is a status such as 404, or a list of them."},
	{"http-header", "The name of a header consists of letters, digits and dashes, its value has no line breaks, and what the program sets itself, such as Host, is not for flows."},
	{"http-secret", "The value looks like a credential. A flow is no place for it: flows stand in version control, and the journal keeps the source of each flow that ran. Keep it in a connection of app HTTP: `facteur vault set NAME --app HTTP` asks for a bearer token; with type=basic username=USER it asks for a password, with type=header header=X-Api-Key for the value of that header. The step then says `connection: NAME`, and leaves the header out. What an expression gives, such as ${inputs.token}, is not judged. A secret that was published has to be replaced at whoever gave it."},
}
