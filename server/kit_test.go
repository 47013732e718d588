package server_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"facteur/flow"
	"facteur/flow/call"
	"facteur/flow/diag"
	"facteur/flow/host"
	"facteur/flow/machine"
	"facteur/flow/plan"
	"facteur/flow/schema"
	"facteur/server"

	"github.com/stretchr/testify/require"
)

// A catalog has one action, test.send, and one event, test.reply.
type catalog struct{}

func field(name string, t *schema.Type, required bool) *schema.Field {
	return &schema.Field{Name: name, Type: t, Required: required, Always: required}
}

func (catalog) Action(name string) *call.Signature {
	if name != "test.send" {
		return nil
	}
	return &call.Signature{
		Name: name, App: "TEST", ConnectionOptional: true,
		In:  &schema.Type{Kind: schema.Object, Fields: []*schema.Field{field("to", schema.StringType, true), field("text", schema.StringType, false)}},
		Out: &schema.Type{Kind: schema.Object, Fields: []*schema.Field{field("id", schema.StringType, true)}},
	}
}

func (catalog) Event(name string) *call.Event {
	if name != "test.reply" {
		return nil
	}
	return &call.Event{
		Name: name, By: "from",
		Type: &schema.Type{Kind: schema.Object, Fields: []*schema.Field{
			field("from", schema.StringType, true), field("text", schema.StringType, true), field("timestamp", schema.TimestampType, true), field("raw", schema.AnyType, true),
		}},
		Subject: func(from string) (string, error) {
			if !strings.HasPrefix(from, "+") {
				return "", fmt.Errorf("%q is no phone number", from)
			}
			return from, nil
		},
	}
}

func (catalog) Names() (actions, events []string) {
	return []string{"test.send"}, []string{"test.reply"}
}

const orderFlow = `flow: order_shipped
description: Tell the customer.
inputs:
  phone: {type: string, format: e164}
  order_id: {type: string, pattern: "^[0-9]+$"}
  code: {type: string, sensitive: true, default: "none"}
  items: {type: array, items: {type: object, properties: {price: {type: number}}}, default: []}
  delay: {type: string, format: duration, default: 1h}
steps:
  - id: notify
    action: test.send
    connection: shop
    with: {to: "${inputs.phone}", text: "n° ${inputs.order_id}"}
outputs:
  code: ${inputs.code}
  delay: ${inputs.delay}
triggers:
  - schedule: {cron: "0 9 * * *", timezone: Europe/Paris, inputs: {phone: "+33612345678", order_id: "1"}}
`

const plainFlow = "flow: hello\nsteps:\n  - set: {greeting: hello}\n"

func compile(t testing.TB, source string) *plan.Plan {
	t.Helper()
	f, diags := flow.Parse("flows/test.flow.yaml", []byte(source))
	require.False(t, diags.HasErrors(), diags)
	p, diags := plan.Compile(f, plan.Library{Catalog: catalog{}})
	require.False(t, diags.HasErrors(), diags)
	return p
}

// flows are flows in memory; next is what a reload finds.
type flows struct {
	mu   sync.Mutex
	now  []*plan.Plan
	next []*plan.Plan
	diag diag.List
	err  error
}

func (f *flows) Plans() []*plan.Plan {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.now
}

func (f *flows) Plan(name string) *plan.Plan {
	for _, p := range f.Plans() {
		if p.Name == name {
			return p
		}
	}
	return nil
}

func (f *flows) Reload(context.Context) (diag.List, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.err == nil && !f.diag.HasErrors() {
		f.now = f.next
	}
	return f.diag, f.err
}

// A fakeHost remembers runs and does nothing with them.
type fakeHost struct {
	mu     sync.Mutex
	runs   []host.Run
	starts []host.Start
	keys   map[string]int
	ended  map[string]chan struct{}
	result map[string]*host.Result
	report map[string]*host.Report
	filter host.Filter
	next   string
	did    []string // what else was asked
	events []host.Event
	held   []host.Hold
	fail   error // what everything returns
	reject bool
	waits  chan struct{} // told of each Wait that begins
}

func newFakeHost() *fakeHost {
	return &fakeHost{keys: map[string]int{}, ended: map[string]chan struct{}{}, result: map[string]*host.Result{}, report: map[string]*host.Report{}, waits: make(chan struct{}, 100)}
}

var began = time.Date(2026, 1, 31, 9, 0, 0, 0, time.UTC)

func (h *fakeHost) Start(_ context.Context, p *plan.Plan, s host.Start) (host.Run, bool, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.fail != nil {
		return host.Run{}, false, h.fail
	}
	if at, used := h.keys[p.Name+"/"+s.Key]; used && s.Key != "" {
		if fmt.Sprint(h.starts[at].Inputs) != fmt.Sprint(s.Inputs) {
			return host.Run{}, false, &host.ReusedError{Run: h.runs[at].ID, Key: s.Key}
		}
		return h.runs[at], false, nil
	}
	h.keys[p.Name+"/"+s.Key] = len(h.runs)
	run := host.Run{ID: fmt.Sprintf("run%d", len(h.runs)+1), Flow: p.Name, Digest: p.Digest, Status: machine.Running, By: s.By, Started: began}
	if h.reject {
		run.Status, run.Ended = host.Rejected, began
	}
	h.runs, h.starts = append(h.runs, run), append(h.starts, s)
	h.ended[run.ID] = make(chan struct{})
	return run, true, nil
}

func (h *fakeHost) First(_ context.Context, flow, key string, inputs map[string]any) (host.Run, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	at, used := h.keys[flow+"/"+key]
	switch {
	case !used:
		return host.Run{}, &host.NotFoundError{What: "run"}
	case fmt.Sprint(h.starts[at].Given) != fmt.Sprint(inputs):
		return host.Run{}, &host.ReusedError{Run: h.runs[at].ID, Key: key}
	}
	return h.runs[at], nil
}

// end ends a run.
func (h *fakeHost) end(run string, r machine.Result, sensitive ...any) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.result[run] = &host.Result{Run: run, Result: r, Started: began, Ended: began.Add(time.Second), Sensitive: sensitive}
	close(h.ended[run])
}

func (h *fakeHost) Wait(ctx context.Context, run string) (*host.Result, error) {
	h.mu.Lock()
	ended := h.ended[run]
	h.mu.Unlock()
	h.waits <- struct{}{}
	select {
	case <-ended:
		h.mu.Lock()
		defer h.mu.Unlock()
		return h.result[run], nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (h *fakeHost) Get(_ context.Context, run string) (*host.Report, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if r := h.report[run]; r != nil {
		return r, h.fail
	}
	for i, r := range h.runs {
		if r.ID == run {
			if result := h.result[run]; result != nil {
				r.Status, r.Ended = result.Status, result.Ended
				return &host.Report{Run: r, Inputs: h.starts[i].Inputs, Result: *result}, nil
			}
			return &host.Report{Run: r, Inputs: h.starts[i].Inputs}, h.fail
		}
	}
	return nil, &host.NotFoundError{What: "run " + run}
}

func (h *fakeHost) List(_ context.Context, f host.Filter) ([]host.Run, string, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.filter = f
	runs := slices.Clone(h.runs)
	slices.Reverse(runs)
	return runs, h.next, h.fail
}

func (h *fakeHost) note(format string, args ...any) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.did = append(h.did, fmt.Sprintf(format, args...))
	return h.fail
}

func (h *fakeHost) Cancel(_ context.Context, run, reason string) error {
	return h.note("cancel %s %s", run, reason)
}

func (h *fakeHost) Retry(_ context.Context, run string, resend bool) error {
	return h.note("retry %s %t", run, resend)
}

func (h *fakeHost) Settle(_ context.Context, run, step string, s host.Settlement) error {
	return h.note("settle %s %s %t %s", run, step, s.Happened, s.ID)
}

func (h *fakeHost) Release(_ context.Context, run string) error { return h.note("release %s", run) }

func (h *fakeHost) Deliver(_ context.Context, events ...host.Event) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.events = append(h.events, events...)
	return h.fail
}

func (h *fakeHost) Receive(context.Context, ...call.Receipt) error { return h.fail }

func (h *fakeHost) Pause(_ context.Context, scope host.Scope, name, reason string) error {
	return h.note("pause %s %s %s", scope, name, reason)
}

func (h *fakeHost) Resume(_ context.Context, scope host.Scope, name string) error {
	return h.note("resume %s %s", scope, name)
}

func (h *fakeHost) Backlog() (int, time.Duration) { return 3, 90 * time.Second }

func (h *fakeHost) Holds(context.Context) ([]host.Hold, error) { return h.held, h.fail }

// A daemon is an API over a fake host, open unless it is said otherwise.
type daemon struct {
	testing.TB
	host    *fakeHost
	flows   *flows
	keys    *server.Keys
	log     *bytes.Buffer
	handler http.Handler
}

func newDaemon(t testing.TB, more ...func(*server.Options)) *daemon {
	t.Helper()
	d := &daemon{TB: t, host: newFakeHost(), log: &bytes.Buffer{}, flows: &flows{now: []*plan.Plan{compile(t, plainFlow), compile(t, orderFlow)}}}
	keys, err := server.OpenKeys(filepath.Join(t.TempDir(), "keys.json"))
	require.NoError(t, err)
	d.keys = keys
	o := server.Options{
		Host: d.host, Flows: d.flows, Keys: keys, Open: true, Event: catalog{}.Event,
		Log: slog.New(slog.NewJSONHandler(d.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
		Export: func(_ context.Context, r *host.Report) ([]byte, error) {
			return []byte("flow: " + r.Run.Flow + "\n"), nil
		},
		Metrics:     server.NewMetrics("1.2.3"),
		Connections: func(context.Context) ([]server.Connection, error) { return nil, nil },
		Aliases:     func(_ context.Context, _, subject string) ([]string, error) { return []string{subject}, nil },
		Restore:     func(string, map[string]string) (*plan.Plan, error) { return nil, errors.New("its flow is not here") },
		Unreachable: func(error) bool { return false },
		Stopping:    context.Background(),
	}
	for _, f := range more {
		f(&o)
	}
	d.handler = server.New(o)
	return d
}

// do asks, and checks the answer against the description of the API. Headers are
// "Name: value".
func (d *daemon) do(method, path, body string, headers ...string) *httptest.ResponseRecorder {
	d.Helper()
	var r io.Reader
	if body != "" {
		r = strings.NewReader(body)
	}
	req := httptest.NewRequest(method, "http://127.0.0.1:8180"+path, r)
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		if req.Header.Set(name, value); name == "Host" {
			req.Host = value
		}
	}
	return d.send(req)
}

func (d *daemon) send(req *http.Request) *httptest.ResponseRecorder {
	d.Helper()
	resp := httptest.NewRecorder()
	d.handler.ServeHTTP(resp, req)
	loadSpec().check(d, req, resp)
	return resp
}

// decode reads the body of an answer.
func decode[T any](t testing.TB, resp *httptest.ResponseRecorder) *T {
	t.Helper()
	v := new(T)
	require.NoError(t, json.Unmarshal(resp.Body.Bytes(), v), resp.Body)
	return v
}

// refused asks for what is refused.
func (d *daemon) refused(method, path, body string, headers ...string) *server.Problem {
	d.Helper()
	resp := d.do(method, path, body, headers...)
	require.Equal(d, "application/problem+json", resp.Header().Get("Content-Type"), resp.Body)
	p := decode[server.Problem](d, resp)
	require.Equal(d, resp.Code, p.Status)
	return p
}
