package server

import (
	"errors"
	"fmt"
	"net/http"
	"slices"

	"facteur/flow/diag"
	"facteur/flow/host"
	"facteur/flow/machine"
)

// Statuses returns what the status of a run may be.
func Statuses() []string {
	var names []string
	for _, s := range []machine.Status{
		machine.Running, host.Waiting, host.Queued, host.Held, machine.Succeeded, machine.Failed, machine.Cancelled,
		host.Rejected, host.Mismatch,
	} {
		names = append(names, string(s))
	}
	return names
}

func (a *api) runs(req *request) (reply, error) {
	params := newQuery(req)
	f := host.Filter{
		Flow: params.text("flow"), Status: params.status(), Unknown: params.flag("unknown"), Recipient: params.recipient(),
		Since: params.time("since"), Until: params.time("until"), Cursor: params.text("cursor"), Limit: params.number("limit", 1, 1000),
	}
	if err := params.err(); err != nil {
		return reply{}, err
	}
	found, next, err := a.Host.List(req.Context(), f)
	if e, ok := errors.AsType[*host.CursorError](err); ok {
		return reply{}, invalidRequest("the query is wrong", FieldError{Path: "query.cursor", Message: e.Error()})
	}
	if err != nil {
		return reply{}, err
	}
	list := &RunList{Runs: make([]Run, len(found)), Next: next}
	for i, r := range found {
		list.Runs[i] = a.View.Run(r)
	}
	return ok(list)
}

func (q *query) status() machine.Status {
	status := q.text("status")
	if status == "" || slices.Contains(Statuses(), status) {
		return machine.Status(status)
	}
	hint := "to list runs with calls whose outcome is unknown, use unknown=true"
	if status != "unknown" {
		hint = diag.DidYouMean(status, "statuses", Statuses())
	}
	q.addError("status", hint, "there is no status %q", status)
	return ""
}

// recipient reads a contact. A plus that was not escaped arrives as a space.
func (q *query) recipient() string {
	text := q.text("recipient")
	if len(text) > 1 && text[0] == ' ' {
		return "+" + text[1:]
	}
	return text
}

func (a *api) run(req *request) (reply, error) {
	params := newQuery(req)
	wait := params.wait(a.MaxWait)
	if err := params.err(); err != nil {
		return reply{}, err
	}
	run := req.PathValue("run")
	report, err := a.Host.Get(req.Context(), run)
	if err == nil && wait > 0 && report.Run.Ended.IsZero() {
		a.await(req, run, wait)
		report, err = a.Host.Get(req.Context(), run)
	}
	if err != nil {
		return reply{}, err
	}
	return ok(a.View.Detail(report))
}

func (a *api) cancel(req *request, body CancelRequest) (reply, error) {
	return done, a.Host.Cancel(req.Context(), req.PathValue("run"), body.Reason)
}

func (a *api) retry(req *request, body RetryRequest) (reply, error) {
	if body.Resend && !req.may(ScopeAdmin) {
		return reply{}, problem(Forbidden, "use a key with the scope "+string(ScopeAdmin), "repeating calls that may have happened needs the scope %s", ScopeAdmin)
	}
	return done, a.Host.Retry(req.Context(), req.PathValue("run"), body.Resend)
}

func (a *api) settle(req *request, body SettleRequest) (reply, error) {
	if !body.Happened && body.MessageID != "" {
		return reply{}, invalidRequest("the body is wrong", FieldError{Path: "message_id", Message: "what did not happen cannot have an id", Hint: `leave it out, or write "happened": true`})
	}
	return done, a.Host.Settle(req.Context(), req.PathValue("run"), body.Step, host.Settlement{Happened: body.Happened, ID: body.MessageID})
}

func (a *api) release(req *request, _ struct{}) (reply, error) {
	return done, a.Host.Release(req.Context(), req.PathValue("run"))
}

// export gives a run as a flow test.
func (a *api) export(req *request) (reply, error) {
	report, err := a.Host.Get(req.Context(), req.PathValue("run"))
	if err != nil {
		return reply{}, err
	}
	text, err := a.Export(req.Context(), report)
	if err != nil {
		return reply{}, fmt.Errorf("export the run %s: %w", report.Run.ID, err)
	}
	return a.text(req, "application/yaml", text)
}

// text replies with a text of a media type.
func (a *api) text(req *request, kind string, text []byte) (reply, error) {
	req.w.Header().Set("Content-Type", kind)
	req.w.WriteHeader(http.StatusOK)
	if req.Method != http.MethodHead {
		_, _ = req.w.Write(text) // an error means that the client has disconnected
	}
	return reply{}, nil
}
