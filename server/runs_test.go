package server_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"facteur/flow/diag"
	"facteur/flow/host"
	"facteur/flow/machine"
	"facteur/flow/plan"
	"facteur/server"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestRunsAreListed(t *testing.T) {
	d := newDaemon(t)
	d.do("POST", "/v1/flows/hello/runs", "")
	d.do("POST", "/v1/flows/hello/runs", "")
	d.host.next = "older"
	resp := d.do("GET", "/v1/runs?flow=hello&status=waiting&unknown=true&recipient=%2B33612345678&since=2026-01-01T00:00:00Z&until=2026-02-01T00:00:00%2B01:00&cursor=c&limit=7", "")
	list := decode[server.RunList](t, resp)
	assert.Equal(t, "older", list.Next)
	require.Len(t, list.Runs, 2)
	assert.Equal(t, "run2", list.Runs[0].RunID)
	assert.Equal(t, host.Filter{
		Flow: "hello", Status: host.Waiting, Unknown: true, Recipient: "+33612345678", Cursor: "c", Limit: 7,
		Since: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), Until: d.host.filter.Until,
	}, d.host.filter)
	assert.True(t, d.host.filter.Until.Equal(time.Date(2026, 1, 31, 23, 0, 0, 0, time.UTC)))

	d.do("GET", "/v1/runs?recipient=+33612345678&since=2026-01-01T00:00:00+01:00", "")
	assert.Equal(t, "+33612345678", d.host.filter.Recipient, "a plus that was not escaped")
	assert.False(t, d.host.filter.Since.IsZero())
}

func TestListsThatAreRefused(t *testing.T) {
	for query, want := range map[string]server.FieldError{
		"status=stuck":       {Path: "query.status", Message: `there is no status "stuck"`},
		"status=failled":     {Path: "query.status", Message: `there is no status "failled"`, Hint: `did you mean "failed"? statuses: cancelled, failed, held, queued, rejected, replay_mismatch, running, succeeded, waiting`},
		"status=unknown":     {Path: "query.status", Message: `there is no status "unknown"`, Hint: "to list runs with calls whose outcome is unknown, use unknown=true"},
		"unknown=maybe":      {Path: "query.unknown", Message: `expected true or false, got "maybe"`},
		"limit=0":            {Path: "query.limit", Message: `expected a whole number from 1 to 1000, got "0"`},
		"limit=1001":         {Path: "query.limit", Message: `expected a whole number from 1 to 1000, got "1001"`},
		"since=yesterday":    {Path: "query.since", Message: `"yesterday" is not a time`, Hint: "write it as 2026-01-31T09:00:00Z"},
		"flow=a&flow=b":      {Path: "query.flow", Message: "it is given 2 times"},
		"stauts=failed":      {Path: "query.stauts", Message: "there is no such parameter"},
		"flow=%zz":           {Path: "query", Message: `it cannot be read: invalid URL escape "%zz"`},
		"status=failed;x=%3": {Path: "query"},
	} {
		t.Run(query, func(t *testing.T) {
			p := newDaemon(t).refused("GET", "/v1/runs?"+query, "")
			require.Len(t, p.Errors, 1)
			assert.Equal(t, want.Path, p.Errors[0].Path)
			if want.Message != "" {
				assert.Equal(t, want.Message, p.Errors[0].Message)
			}
			if want.Hint != "" {
				assert.Equal(t, want.Hint, p.Errors[0].Hint)
			}
		})
	}
}

func TestARunIsWaitedFor(t *testing.T) {
	d := newDaemon(t)
	d.do("POST", "/v1/flows/hello/runs", "")
	go func() { <-d.host.waits; d.host.end("run1", machine.Result{Status: machine.Succeeded}) }()
	got := decode[server.Detail](t, d.do("GET", "/v1/runs/run1?wait=30s", ""))
	assert.Equal(t, machine.Succeeded, got.Status)
	got = decode[server.Detail](t, d.do("GET", "/v1/runs/run1?wait=30s", ""))
	assert.Equal(t, machine.Succeeded, got.Status, "one that has ended is not waited for")
}

func TestWhatIsAskedOfRunsAndHolds(t *testing.T) {
	for _, c := range []struct{ path, body, did string }{
		{"/v1/runs/r1/cancel", "", "cancel r1 "},
		{"/v1/runs/r1/cancel", `{"reason": "returned"}`, "cancel r1 returned"},
		{"/v1/runs/r1/retry", "", "retry r1 false"},
		{"/v1/runs/r1/retry", `{"resend": true}`, "retry r1 true"},
		{"/v1/runs/r1/settle", `{"step": "each[3].notify", "happened": true, "message_id": "wamid.X"}`, "settle r1 each[3].notify true wamid.X"},
		{"/v1/runs/r1/settle", `{"step": "notify", "happened": false}`, "settle r1 notify false "},
		{"/v1/runs/r1/release", "", "release r1"},
		{"/v1/pause", `{"scope": "connection", "name": "shop", "reason": "moving"}`, "pause connection shop moving"},
		{"/v1/pause", `{"scope": "flow", "name": "hello"}`, "pause flow hello "},
		{"/v1/pause", `{"scope": "all"}`, "pause all  "},
		{"/v1/resume", `{"scope": "all"}`, "resume all "},
		{"/v1/resume", `{"scope": "flow", "name": "gone"}`, "resume flow gone"},
	} {
		t.Run(c.did, func(t *testing.T) {
			d := newDaemon(t)
			assert.Equal(t, http.StatusNoContent, d.do("POST", c.path, c.body).Code)
			assert.Equal(t, []string{c.did}, d.host.did)
		})
	}
}

func TestWhatIsWrongWithWhatIsAsked(t *testing.T) {
	for _, c := range []struct{ path, body, where, message string }{
		{"/v1/runs/r1/settle", `{"happened": true}`, "", `missing field "step"`},
		{"/v1/runs/r1/settle", `{"step": "s"}`, "", `missing field "happened"`},
		{"/v1/runs/r1/settle", `{"step": "s", "happened": "yes"}`, "happened", "expected boolean, got string"},
		{"/v1/runs/r1/settle", `{"step": "s", "happened": false, "message_id": "wamid.X"}`, "message_id", "what did not happen cannot have an id"},
		{"/v1/runs/r1/cancel", `{"why": "x"}`, "why", `no field "why"`},
		{"/v1/runs/r1/release", `{"why": "x"}`, "why", `no field "why"`},
		{"/v1/pause", `{"scope": "connection"}`, "name", "the name of the connection is missing"},
		{"/v1/pause", `{"scope": "all", "name": "x"}`, "name", "the scope all takes no name"},
		{"/v1/pause", `{"scope": "everything"}`, "scope", `"everything" is not one of the allowed values`},
		{"/v1/resume", `{"scope": "flow"}`, "name", "the name of the flow is missing"},
		{"/v1/events", `{"event": "test.rpely", "data": {}}`, "event", `there is no event "test.rpely"`},
		{"/v1/events", `{"event": "test.reply", "data": {"from": "0612"}}`, "data.from", `"0612" is no phone number`},
		{"/v1/events", `{"event": "test.reply", "data": {"from": "+336", "txt": "x"}}`, "data.txt", `no field "txt"`},
		{"/v1/events", `{"event": "test.reply", "data": {}}`, "data", `missing field "from"`},
	} {
		t.Run(c.path+" "+c.body, func(t *testing.T) {
			d := newDaemon(t)
			p := d.refused("POST", c.path, c.body)
			require.Equal(t, server.Invalid, p.Kind())
			require.Len(t, p.Errors, 1, p)
			assert.Equal(t, c.where, p.Errors[0].Path)
			assert.Equal(t, c.message, p.Errors[0].Message)
			assert.Empty(t, d.host.did)
			assert.Empty(t, d.host.events)
		})
	}
	d := newDaemon(t)
	ahead := func(by time.Duration) string {
		return fmt.Sprintf(`{"event": "test.reply", "at": %q, "data": {"from": "+33612345678"}}`, time.Now().Add(by).Format(time.RFC3339))
	}
	assert.Equal(t, http.StatusAccepted, d.do("POST", "/v1/events", ahead(2*time.Minute)).Code, "clocks differ a little")
	p := d.refused("POST", "/v1/events", ahead(time.Hour))
	assert.Equal(t, server.Invalid, p.Kind())
	assert.Regexp(t, `^the event is wrong: at: \S+Z is in the future: the time here is \S+Z`, p.Error())
	p = newDaemon(t).refused("POST", "/v1/pause", `{"scope": "flow", "name": "helo"}`)
	assert.Equal(t, `did you mean "hello"? flows: hello, order_shipped`, p.Hint)
}

// What stands in the query and was meant for the body is not lost in silence.
func TestParametersWhereThereAreNone(t *testing.T) {
	for _, r := range server.Routes() {
		method, path, scope := r[0], strings.NewReplacer("{flow}", "hello", "{run}", "run1").Replace(r[1]), r[2]
		t.Run(method+" "+path, func(t *testing.T) {
			d := newDaemon(t)
			require.Equal(t, 201, d.do("POST", "/v1/flows/hello/runs", "").Code)
			if scope == "" || path == "/metrics" { // probes may say what they like
				assert.Equal(t, 200, d.do(method, path+"?reason=x", "").Code)
				return
			}
			p := d.refused(method, path+"?reason=x", "")
			require.Equal(t, server.Invalid, p.Kind())
			require.Len(t, p.Errors, 1)
			assert.Equal(t, "query.reason", p.Errors[0].Path)
			assert.Empty(t, d.host.did)
			assert.Len(t, d.host.starts, 1)
		})
	}
}

func TestWhatAHostRefuses(t *testing.T) {
	for _, c := range []struct {
		err    error
		status int
		kind   string
		detail string
		hint   string
		run    string
	}{
		{&host.NotFoundError{What: "run r1"}, 404, server.NotFound, "there is no run r1", "", ""},
		{&host.StateError{Run: "r1", Reason: "it has ended", Hint: "rerun it"}, 409, server.Conflict, "run r1: it has ended", "rerun it", "r1"},
		{fmt.Errorf("retry: %w", &machine.MismatchError{Reason: "the flow has changed"}), 409, server.Conflict, "the record does not match the flow: the flow has changed", "the run cannot continue; start it again with rerun", ""},
		{&host.StoppingError{}, 503, server.Stopping, "the daemon is stopping and accepts nothing new", "try again when the daemon is running again", ""},
		{errors.New("the disk is full"), 500, server.Internal, "the disk is full", "", ""},
	} {
		t.Run(c.kind, func(t *testing.T) {
			d := newDaemon(t)
			d.host.fail = c.err
			resp := d.do("POST", "/v1/runs/r1/retry", "")
			p := decode[server.Problem](t, resp)
			assert.Equal(t, c.status, resp.Code)
			assert.Equal(t, c.kind, p.Kind())
			assert.Equal(t, c.detail, p.Detail)
			assert.Equal(t, c.hint, p.Hint)
			assert.Equal(t, c.run, p.RunID)
			assert.Equal(t, c.status == 503, resp.Header().Get("Retry-After") != "")
		})
	}
}

func TestWhatFailedIsToldToThoseWhoLookAfterTheDaemon(t *testing.T) {
	d := newDaemon(t)
	_, key, err := d.keys.Create("shop", server.ScopeRun, time.Time{})
	require.NoError(t, err)
	d.host.fail = errors.New("the disk is full, says +33612345678")
	p := d.refused("POST", "/v1/flows/hello/runs", "", "Authorization: Bearer "+key)
	assert.Equal(t, "the daemon could not do this", p.Detail)
	assert.Contains(t, d.log.String(), "the disk is full, says +*********78")
	assert.NotContains(t, d.log.String(), "33612345678")
	_, key, err = d.keys.Create("admin", server.ScopeAdmin, time.Time{})
	require.NoError(t, err)
	p = d.refused("POST", "/v1/flows/hello/runs", "", "Authorization: Bearer "+key)
	assert.Equal(t, "the disk is full, says +*********78", p.Detail)
}

func TestACursorThatIsNone(t *testing.T) {
	d := newDaemon(t)
	d.host.fail = &host.CursorError{Cursor: "x"}
	p := d.refused("GET", "/v1/runs?cursor=x", "")
	assert.Equal(t, server.Invalid, p.Kind())
	require.Len(t, p.Errors, 1)
	assert.Equal(t, `query.cursor: there is no cursor "x": use one that a list returned`, p.Errors[0].Error())
	assert.NotContains(t, d.log.String(), "ERROR")
}

type fullDisk struct{}

func (fullDisk) Error() string   { return "the disk is full" }
func (fullDisk) Temporary() bool { return true }

// What the surroundings are at fault for may be asked again.
func TestWhatWillGetBetterIsUnavailable(t *testing.T) {
	d := newDaemon(t)
	_, run, err := d.keys.Create("shop", server.ScopeRun, time.Time{})
	require.NoError(t, err)
	_, admin, err := d.keys.Create("admin", server.ScopeAdmin, time.Time{})
	require.NoError(t, err)
	d.host.fail = fmt.Errorf("store the run: %w", fullDisk{})
	p := d.refused("POST", "/v1/flows/hello/runs", "", "Authorization: Bearer "+run)
	assert.Equal(t, server.Unavailable, p.Kind())
	assert.Equal(t, 503, p.Status)
	assert.NotContains(t, p.Detail, "full")
	assert.Contains(t, p.Hint, "Idempotency-Key")
	assert.Equal(t, "store the run: the disk is full", d.refused("POST", "/v1/flows/hello/runs", "", "Authorization: Bearer "+admin).Detail)
	assert.Equal(t, "5", d.do("POST", "/v1/flows/hello/runs", "", "Authorization: Bearer "+run).Header().Get("Retry-After"))
}

func TestAnEventIsDelivered(t *testing.T) {
	d := newDaemon(t, func(o *server.Options) {
		o.Aliases = func(_ context.Context, kind, subject string) ([]string, error) {
			assert.Equal(t, "test.reply", kind)
			return []string{subject, "FR.123"}, nil
		}
	})
	resp := d.do("POST", "/v1/events", `{"id": "e1", "event": "test.reply", "connection": "shop", "at": "2026-01-31T10:00:00+01:00", "data": {"from": "+33612345678", "text": "oui"}}`)
	assert.Equal(t, 202, resp.Code)
	assert.Equal(t, "e1", decode[server.Delivered](t, resp).ID)
	require.Len(t, d.host.events, 1)
	e := d.host.events[0]
	assert.True(t, e.At.Equal(began))
	assert.Equal(t, map[string]any{"from": "+33612345678", "text": "oui", "timestamp": e.At, "raw": nil}, e.Data, "every field is there")
	assert.Equal(t, []string{"+33612345678", "FR.123"}, e.Subjects)
	assert.Equal(t, "shop", e.Connection)
	assert.Equal(t, "test.reply", e.Name)

	resp = d.do("POST", "/v1/events", `{"event": "test.reply", "data": {"from": "+33612345678"}}`)
	assert.NotEmpty(t, decode[server.Delivered](t, resp).ID)
	assert.False(t, d.host.events[1].At.IsZero())
}

func TestFlowsAreShown(t *testing.T) {
	d := newDaemon(t)
	list := decode[server.FlowList](t, d.do("GET", "/v1/flows", ""))
	require.Len(t, list.Flows, 2)
	assert.Equal(t, server.Flow{
		Flow: "order_shipped", Description: "Tell the customer.", Digest: d.flows.now[1].Digest, File: "flows/test.flow.yaml", Connections: []string{"shop"},
		Triggers: []server.Trigger{{Kind: "schedule", Cron: "0 9 * * *", Timezone: "Europe/Paris"}},
	}, list.Flows[1])

	f := decode[server.FlowDetail](t, d.do("GET", "/v1/flows/order_shipped", ""))
	assert.Equal(t, map[string]string{"order_shipped": orderFlow}, f.Sources)
	assert.Equal(t, []any{"phone", "order_id"}, f.Inputs["required"])
	assert.Equal(t, "object", f.Outputs["type"])
	assert.Equal(t, server.NotFound, d.refused("GET", "/v1/flows/nothing", "").Kind())
}

func TestFlowsAreReloaded(t *testing.T) {
	d := newDaemon(t)
	d.flows.next = []*plan.Plan{compile(t, "flow: fresh\nsteps: [{wait: 1s}]\n"), compile(t, orderFlow+"# changed\n")}
	d.flows.diag.Warnf("unused-input", diag.Range{}, "remove it", "no expression reads it")
	got := decode[server.Reloaded](t, d.do("POST", "/v1/reload", ""))
	assert.Equal(t, &server.Reloaded{
		Flows: 2, Added: []string{"fresh"}, Changed: []string{"order_shipped"}, Removed: []string{"hello"},
		Diagnostics: []server.Diagnostic{{Severity: "warning", Code: "unused-input", Message: "no expression reads it", Hint: "remove it"}},
	}, got)

	source := diag.NewSource("flows/a.flow.yaml", []byte("flow: a\nsteps: x\n"))
	d.flows.diag = nil
	d.flows.diag.Errorf("bad", diag.Range{Source: source, Start: 8, End: 13}, "", "steps are a list")
	p := d.refused("POST", "/v1/reload", "")
	assert.Equal(t, server.InvalidFlows, p.Kind())
	assert.Equal(t, []server.Diagnostic{{File: "flows/a.flow.yaml", Line: 2, Col: 1, EndLine: 2, EndCol: 6, Severity: "error", Code: "bad", Message: "steps are a list"}}, p.Diagnostics)

	d.flows.diag, d.flows.err = nil, errors.New("the folder is gone")
	assert.Equal(t, server.Internal, d.refused("POST", "/v1/reload", "").Kind())
}

func TestConnectionsAndHoldsAreShown(t *testing.T) {
	shown := []server.Connection{{Name: "shop", App: "WHATSAPP", Ready: true, Hint: "EA…2c", CreatedAt: began}}
	d := newDaemon(t, func(o *server.Options) {
		o.Connections = func(context.Context) ([]server.Connection, error) { return shown, nil }
	})
	assert.Equal(t, shown, decode[server.ConnectionList](t, d.do("GET", "/v1/connections", "")).Connections)
	assert.Equal(t, "{\"connections\":[]}\n", newDaemon(t).do("GET", "/v1/connections", "").Body.String())

	d.host.held = []host.Hold{{Scope: host.Connection, Name: "shop", Reason: "refused for +33612345678", Since: began, Auto: true, Calls: 3}}
	assert.Equal(t, []server.Hold{{Scope: host.Connection, Name: "shop", Reason: "refused for +*********78", Since: began, Auto: true, Calls: 3}},
		decode[server.HoldList](t, d.do("GET", "/v1/holds", "")).Holds)
}

func TestARunIsExported(t *testing.T) {
	d := newDaemon(t)
	d.do("POST", "/v1/flows/hello/runs", "")
	resp := d.do("GET", "/v1/runs/run1/export", "")
	assert.Equal(t, "flow: hello\n", resp.Body.String())
	assert.Equal(t, "application/yaml", resp.Header().Get("Content-Type"))
}

func TestWhatIsNotServedIsAProblemToo(t *testing.T) {
	d := newDaemon(t)
	p := d.refused("GET", "/v1/nothing", "")
	assert.Equal(t, server.NotFound, p.Kind())
	assert.Equal(t, "the API is described at /v1/openapi.yaml", p.Hint)

	resp := d.do("DELETE", "/v1/runs/run1", "")
	assert.Equal(t, 405, resp.Code)
	assert.Equal(t, "GET, HEAD", resp.Header().Get("Allow"))
	assert.Equal(t, "/v1/runs/run1 has no DELETE", decode[server.Problem](t, resp).Detail)
	assert.Equal(t, "POST", d.do("GET", "/v1/reload", "").Header().Get("Allow"))

	resp = d.do("HEAD", "/v1/runs", "")
	assert.Equal(t, 200, resp.Code)
	assert.Empty(t, resp.Body.String())
}

// The runs of a flow go on when a reload has taken it out: they can be held back.
func TestAFlowThatIsGoneIsPaused(t *testing.T) {
	d := newDaemon(t)
	require.Equal(t, 201, d.do("POST", "/v1/flows/hello/runs", "").Code)
	d.flows.now = nil
	assert.Equal(t, 204, d.do("POST", "/v1/pause", `{"scope": "flow", "name": "hello"}`).Code)
	assert.Equal(t, []string{"pause flow hello "}, d.host.did)
}
