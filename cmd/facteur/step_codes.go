package main

// stepCodes are the codes of steps.<id>.error that are words, explained. Numbers are
// those of Meta's catalogue.
var stepCodes = [...]struct{ code, text string }{
	{"outcome_unknown", "No answer came, or one that does not say whether the call happened: a time-out, a connection that broke, an answer that was cut or that is not the API's. It may have happened, so it is not repeated behind your back. Before you send again, ask who should have got the message, or look for a status webhook whose biz_opaque_callback_data is the key of the call. `on_unknown: resend` says that a second message does no harm; `idempotent: true` that a second request does none."},
	{"invalid_input", "What the step was given cannot be right, which shows only at run time, such as a phone number that does not exist. Nothing was sent; other steps are not concerned."},
	{"expression_failed", "An expression could not be evaluated: an index past the end, a division by zero, a text that is no number, a cost over the limit. The message says where."},
	{"timeout", "The time of the step is over: nothing came that it waited for, or the call could not even begin. A call that had begun is outcome_unknown instead."},
	{"cancelled", "The run was cancelled before the step's call was made, or while it waited."},
	{"connection", "The step's connection cannot be used: it is not in the vault, it lacks a field, it is for another app, or the vault does not answer. Nothing was sent. `facteur vault list` shows the connections, `facteur vault check NAME` tests one."},
	{"auth", "The credentials were refused, also after they had been read from the vault again. `facteur vault check NAME` tells more."},
	{"network", "The server could not be reached, or not be trusted: its name, its port, its certificate. Nothing was sent."},
	{"window_closed", "The recipient has not written within 24 hours, so WhatsApp takes only a template. Nothing was sent. Send a template, or give the step a `fallback`."},
	{"undelivered", "Meta had accepted the message, and a receipt says that it was not delivered. It is not sent again."},
	{"http_status", "The server answered with a status that means failure: 400 and above, or one that expect_status does not name. The step's outputs hold the answer."},
	{"host_refused", "The project file allows http.request only some hosts, and this is none of them: http.allow_hosts."},
	{"address_refused", "The host has a private address, or one of this machine, which http.request does not call unless the project file says so: http.allow_private, or the address itself in http.allow_hosts."},
	{"not_recorded", "A request was made that the recording does not have. What differs from the nearest exchange is shown."},
}

func explainStepCode(code string) (text string, ok bool) {
	for _, c := range stepCodes {
		if c.code == code {
			return c.text, true
		}
	}
	return "", false
}

func stepCodeNames() []string {
	names := make([]string, len(stepCodes))
	for i, c := range stepCodes {
		names[i] = c.code
	}
	return names
}
