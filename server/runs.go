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
func Statuses() []machine.Status {
	return []machine.Status{
		machine.Running, host.Waiting, host.Queued, host.Held, machine.Succeeded, machine.Failed, machine.Cancelled,
		host.Rejected, host.Mismatch,
	}
}

func (a *api) runs(q *ask) (reply, error) {
	params := newQuery(q)
	f := host.Filter{
		Flow: params.text("flow"), Status: params.status(), Unknown: params.flag("unknown"), Recipient: params.recipient(),
		Since: params.time("since"), Until: params.time("until"), Cursor: params.text("cursor"), Limit: params.number("limit", 1, 1000),
	}
	if err := params.err(); err != nil {
		return reply{}, err
	}
	found, next, err := a.Host.List(q.Context(), f)
	if e, ok := errors.AsType[*host.CursorError](err); ok {
		return reply{}, wrong("the query is wrong", FieldError{Path: "query.cursor", Message: e.Error()})
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
	status := machine.Status(q.text("status"))
	if status == "" || slices.Contains(Statuses(), status) {
		return status
	}
	hint := "for runs with calls whose outcome is unknown, ask for unknown=true"
	if status != "unknown" {
		var known []string
		for _, s := range Statuses() {
			known = append(known, string(s))
		}
		hint = diag.DidYouMean(string(status), "statuses", known)
	}
	q.wrong("status", hint, "there is no status %q", status)
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

func (a *api) run(q *ask) (reply, error) {
	params := newQuery(q)
	wait := params.wait(a.MaxWait)
	if err := params.err(); err != nil {
		return reply{}, err
	}
	run := q.PathValue("run")
	report, err := a.Host.Get(q.Context(), run)
	if err == nil && wait > 0 && report.Run.Ended.IsZero() {
		a.await(q, run, wait)
		report, err = a.Host.Get(q.Context(), run)
	}
	if err != nil {
		return reply{}, err
	}
	return ok(a.View.Detail(report))
}

func (a *api) cancel(q *ask, body CancelRequest) (reply, error) {
	return done, a.Host.Cancel(q.Context(), q.PathValue("run"), body.Reason)
}

func (a *api) retry(q *ask, body RetryRequest) (reply, error) {
	if body.Resend && !q.may(ScopeAdmin) {
		return reply{}, problem(Forbidden, "use a key with the scope "+string(ScopeAdmin), "doing again what may have happened needs the scope %s", ScopeAdmin)
	}
	return done, a.Host.Retry(q.Context(), q.PathValue("run"), body.Resend)
}

func (a *api) settle(q *ask, body SettleRequest) (reply, error) {
	if !body.Happened && body.MessageID != "" {
		return reply{}, wrong("the body is wrong", FieldError{Path: "message_id", Message: "what did not happen has no id", Hint: `leave it out, or say "happened": true`})
	}
	return done, a.Host.Settle(q.Context(), q.PathValue("run"), body.Step, host.Settlement{Happened: body.Happened, ID: body.MessageID})
}

func (a *api) release(q *ask, _ struct{}) (reply, error) {
	return done, a.Host.Release(q.Context(), q.PathValue("run"))
}

// export gives a run as a flow test.
func (a *api) export(q *ask) (reply, error) {
	report, err := a.Host.Get(q.Context(), q.PathValue("run"))
	if err != nil {
		return reply{}, err
	}
	text, err := a.Export(q.Context(), report)
	if err != nil {
		return reply{}, fmt.Errorf("export the run %s: %w", report.Run.ID, err)
	}
	return a.text(q, "application/yaml", text)
}

// text replies with a text of a kind.
func (a *api) text(q *ask, kind string, text []byte) (reply, error) {
	q.w.Header().Set("Content-Type", kind)
	q.w.WriteHeader(http.StatusOK)
	if q.Method != http.MethodHead {
		_, _ = q.w.Write(text) // whoever asked may have left
	}
	return reply{}, nil
}
