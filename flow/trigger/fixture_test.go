package trigger_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"facteur/flow"
	"facteur/flow/call"
	"facteur/flow/host"
	"facteur/flow/plan"
	"facteur/flow/schema"
	"facteur/flow/trigger"

	"github.com/stretchr/testify/require"
)

// catalog has the kinds of event of these tests.
type catalog struct{}

func (catalog) Action(string) *call.Signature { return nil }

func (catalog) Event(name string) *call.Event {
	field := func(name string, t *schema.Type) *schema.Field {
		return &schema.Field{Name: name, Type: t, Required: true, Always: true}
	}
	switch name {
	case "whatsapp.message":
		return &call.Event{Name: name, By: "from", SinceCall: true, Type: &schema.Type{Kind: schema.Object, Fields: []*schema.Field{
			field("from", schema.StringType), field("sender_phone_id", schema.StringType), field("text", schema.StringType), field("timestamp", schema.TimestampType),
		}}}
	case "webhook":
		return &call.Event{Name: name, By: "path", Connection: true, App: "WEBHOOK", Subject: path, Type: &schema.Type{Kind: schema.Object, Fields: []*schema.Field{
			field("path", schema.StringType), field("body", schema.AnyType),
		}}}
	}
	return nil
}

func (catalog) Names() (actions, events []string) {
	return nil, []string{"webhook", "whatsapp.message"}
}

func path(text string) (string, error) { return "/" + strings.Trim(text, "/"), nil }

// compile compiles a project of flows, each with its name after `flow: `.
func compile(t testing.TB, texts ...string) []*plan.Plan {
	t.Helper()
	parsed := map[string]*flow.Flow{}
	var names []string
	for _, text := range texts {
		name, _, _ := strings.Cut(strings.TrimPrefix(text, "flow: "), "\n")
		f, diags := flow.Parse(name+".flow.yaml", []byte(text))
		require.Empty(t, diags)
		parsed[name], names = f, append(names, name)
	}
	c := plan.NewCompiler(plan.Library{
		Catalog: catalog{}, FlowNames: names, Settings: map[string]any{"shop": "Chez Nous"},
		Flow: func(name string) *flow.Flow { return parsed[name] },
	})
	var plans []*plan.Plan
	for _, name := range names {
		p, diags := c.Compile(parsed[name])
		require.False(t, diags.HasErrors(), "%v", diags)
		plans = append(plans, p)
	}
	return plans
}

// A fakeHost only starts runs, and records them.
type fakeHost struct {
	host.Host
	mu      sync.Mutex
	runs    []run
	byKey   map[string]int
	err     error
	onStart func() // called after each Start
}

type run struct {
	flow   string
	inputs map[string]any
	key    string
	by     string
}

func (f *fakeHost) Start(_ context.Context, p *plan.Plan, s host.Start) (host.Run, bool, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.onStart != nil {
		defer f.onStart()
	}
	if f.err != nil {
		return host.Run{}, false, f.err
	}
	key := p.Name + "\x00" + s.Key
	if i, ok := f.byKey[key]; ok {
		if !reflect.DeepEqual(f.runs[i].inputs, s.Inputs) {
			return host.Run{}, false, &host.ReusedError{Run: fmt.Sprint(i), Key: s.Key}
		}
		return host.Run{ID: fmt.Sprint(i)}, false, nil
	}
	if f.byKey == nil {
		f.byKey = map[string]int{}
	}
	f.byKey[key] = len(f.runs)
	f.runs = append(f.runs, run{p.Name, s.Inputs, s.Key, s.By})
	return host.Run{ID: fmt.Sprint(len(f.runs) - 1)}, true, nil
}

// flows returns the flows of the started runs, in order.
func (f *fakeHost) flows() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	names := []string{}
	for _, r := range f.runs {
		names = append(names, r.flow)
	}
	return names
}

// A fixture is a starter with its host, log and counts.
type fixture struct {
	*trigger.Starter
	host   *fakeHost
	log    bytes.Buffer
	counts map[string]int // by flow, trigger and result
}

func newFixture(t testing.TB, o trigger.Options, texts ...string) *fixture {
	return newFixtureOn(t, &fakeHost{}, o, texts...)
}

func newFixtureOn(t testing.TB, h *fakeHost, o trigger.Options, texts ...string) *fixture {
	k := &fixture{host: h, counts: map[string]int{}}
	o.Log = slog.New(slog.NewTextHandler(&k.log, nil))
	var mu sync.Mutex
	o.Count = func(flow, trigger string, v trigger.Result) {
		mu.Lock()
		defer mu.Unlock()
		k.counts[flow+" "+trigger+" "+string(v)]++
	}
	k.Starter = trigger.New(k.host, o)
	k.Set(compile(t, texts...))
	return k
}

// notes are an in-memory trigger.Notes that outlives starters, as a journal does.
type notes struct {
	mu   sync.Mutex
	all  map[string]json.RawMessage
	fail error
}

func (n *notes) Note(_ context.Context, kind, name string, body json.RawMessage) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.fail != nil {
		return n.fail
	}
	if n.all == nil {
		n.all = map[string]json.RawMessage{}
	}
	n.all[kind+"/"+name] = body
	if body == nil {
		delete(n.all, kind+"/"+name)
	}
	return nil
}

func (n *notes) Notes(_ context.Context, kind string) (map[string]json.RawMessage, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.fail != nil {
		return nil, n.fail
	}
	out := map[string]json.RawMessage{}
	for name, body := range n.all {
		if rest, ok := strings.CutPrefix(name, kind+"/"); ok {
			out[rest] = body
		}
	}
	return out, nil
}

func request(id, path, connection string, body any) host.Event {
	return host.Event{ID: id, Name: "webhook", Subjects: []string{path}, Connection: connection, At: noon(), Data: map[string]any{"path": path, "body": body}}
}

func message(id, sender, text string) host.Event {
	return host.Event{ID: id, Name: "whatsapp.message", Subjects: []string{"33612345678"}, At: noon(), Data: map[string]any{
		"from": "+33612345678", "sender_phone_id": sender, "text": text, "timestamp": "2026-03-01T11:59:58Z", // as a journal gives it back
	}}
}

func noon() time.Time { return time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC) }
