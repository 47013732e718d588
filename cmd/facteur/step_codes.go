package main

import "facteur/flow/diag"

// stepCodes are the codes of steps.<id>.error that are words, explained. Numbers are
// those of Meta's catalogue.
var stepCodes = diag.Codebook{
	{"outcome_unknown", "No answer arrived, or one that does not say whether the call happened: a timeout, a broken connection, an answer that was cut off or is not the API's. The call may have happened, so it is not repeated behind your back. Before you send again, ask the recipient, or look for a status webhook whose biz_opaque_callback_data is the key of the call. `on_unknown: resend` declares that a second message does no harm, `idempotent: true` that a second request does none."},
	{"invalid_input", "The step was given a value that is wrong, which shows only at run time, such as a phone number that does not exist. Nothing was sent; other steps are not affected."},
	{"expression_failed", "An expression could not be evaluated: an index past the end, a division by zero, text that is not a number, a cost over the limit. The message says where."},
	{"timeout", "The step's time ran out: what it waited for did not arrive, or its call could not even begin. A call that had begun is outcome_unknown instead."},
	{"cancelled", "The run was cancelled before the step's call was made, or while the step waited."},
	{"connection", "The step's connection cannot be used: it is not in the vault, it lacks a field, it is for another app, or the vault cannot be read. Nothing was sent. `facteur vault list` shows the connections, `facteur vault check NAME` tests one."},
	{"auth", "The credentials were refused, even after they were read from the vault again. `facteur vault check NAME` shows more."},
	{"network", "The server could not be reached or could not be trusted: check its name, port and certificate. Nothing was sent."},
	{"window_closed", "The recipient has not written within 24 hours, so WhatsApp accepts only a template. Nothing was sent. Send a template, or give the step a `fallback`."},
	{"opted_out", "The person has opted out of marketing messages from this number, and the template is a marketing template. Nothing was sent. Other messages can still be sent."},
	{"once_unsettled", "An earlier send with the same `once` key may have been made; its outcome is not known yet. Nothing was sent, so that the message does not arrive twice. Settle the earlier send (`facteur runs list --status unknown`, `facteur runs settle`), or wait for its receipt."},
	{"no_ledger", "`once` needs a ledger of earlier sends, and there is none here. Nothing was sent."},
	{"ledger", "The ledger of earlier sends could not be read or written, so `once` cannot be guaranteed. Nothing was sent. `facteur health` shows what is wrong with it."},
	{"undelivered", "Meta accepted the message, but a receipt says that it was not delivered. It is not sent again."},
	{"http_status", "The server answered with a status that means failure: 400 and above, or one that expect_status does not name. The step's outputs hold the answer."},
	{"host_refused", "The project file allows http.request to call only the hosts in http.allow_hosts, and this is not one of them."},
	{"address_refused", "The host has a private address, or an address of this machine. http.request does not call it unless the project file allows it: with http.allow_private, or with the address itself in http.allow_hosts."},
	{"redirects", "The server redirected the request too often, from https to http, or to a host that is not allowed. Call the final address directly."},
	{"invalid_request", "The request could not be built: its address has no host, or a header contains a line break. Nothing was sent."},
	{"not_sent", "Nothing was sent: the call was refused before it left, or a person settled that it did not happen (`facteur runs settle --not-sent`). `facteur runs retry` repeats it."},
	{"answer_too_long", "The answer is longer than the action accepts (1 MiB for most). It was not read to its end."},
	{"answer_cut", "The answer was cut off. The request may be repeated, because a repeat is harmless; otherwise the code would be outcome_unknown."},
	{"panic", "A bug in facteur itself aborted the call, and it is not known whether it happened. The daemon's log has the stack trace."},
	{"broken", "A bug in facteur itself aborted the call; it may be repeated, because a repeat is harmless. The daemon's log has the stack trace."},
	{"failed", "The call failed, and no reason was given."},
	{"unknown_action", "The flow calls an action that this facteur does not have: another version of it started the run."},
	{"rejected", "As many runs of the flow were active as its `concurrency` allows, with `on_conflict: reject`. The run never began."},
	{"replay_mismatch", "What is stored about the run does not match its flow or this version of facteur, or a bug in facteur stopped it. The run does not continue, because facteur does not guess. The message says why. `facteur runs release RUN` tries again, `facteur runs cancel RUN` gives it up; `facteur runs list --status unknown` lists runs with calls whose outcome is unknown."},
	{"too_large", "The call's input or its answer is larger than a run may store. Pass a reference to the data instead, or split it."},
	{"not_begun", "The call was about to begin, but this could not be recorded: the disk, or the server that keeps the run, did not accept it or had already given up the call. Nothing was sent. The message says why; `facteur health` shows what is wrong."},
	{"held", "The call was about to begin when its flow, its connection or everything was paused. Nothing was sent; the call is made after `facteur resume`. `facteur holds` shows what is paused."},
	{"limit", "The call waits for its turn at a limit, such as the rate of a number. Nothing was sent; the call is made when its turn comes."},
	{"not_started", "No worker of the Temporal server picked up the call in time: it was not made."},
	{"terminated", "Somebody terminated the run with the tools of the Temporal server. Calls in progress may have happened."},
	{"not_recorded", "The step made a request that is not in the recording. The message shows how it differs from the nearest exchange."},
}

// requestCodes are the rules that the inputs of http.request keep, explained.
var requestCodes = diag.Codebook{
	{"http-url", "The address does not use http or https, or it lacks the https://; without that, it is a path below the connection's `base_url`."},
	{"http-host", "The project does not allow requests to this server: `http: {allow_hosts: […]}` in facteur.yaml lists the servers that it allows, and `allow_private: true` allows private networks. This also applies to requests with a connection."},
	{"http-one-body", "A request has at most one body: `json`, `form` or `text`."},
	{"http-body-method", "GET and HEAD take no body. Set `method` to POST, PUT or PATCH, or put the values into `query`."},
	{"http-expect-status", "`expect_status` must be a status such as 404, or a list of them."},
	{"http-header", "The name of a header consists of letters, digits and dashes, and its value has no line breaks. A flow cannot set headers that facteur sets itself, such as Host."},
	{"http-secret", "The value looks like a credential. Credentials do not belong in a flow: flows are kept in version control, and the journal keeps the source of each flow that ran. Keep it in a connection of app HTTP: `facteur vault set NAME --app HTTP` asks for a bearer token; with type=basic username=USER it asks for a password, with type=header header=X-Api-Key for the value of that header. Then write `connection: NAME` in the step and remove the header. Values from expressions, such as ${inputs.token}, are not checked. If the secret has been published, have whoever issued it replace it."},
}
