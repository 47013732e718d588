package hosttest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"facteur/flow"
	"facteur/flow/call"
	"facteur/flow/host"
	"facteur/flow/plan"
	"facteur/flow/schema"

	"github.com/stretchr/testify/require"
)

// A World is what the hosts of a test act on: its actions, what has become of messages,
// and the news that come of them. It outlives hosts that crash. The text of a message
// says what becomes of it; see Do.
type World struct {
	// OnDo is asked at each point of a call, "prepared" of test.prepared alone, "taken",
	// "accepted" and "answered", before it goes on. nil: nobody is asked.
	OnDo func(point string, c call.Call)

	mu       sync.Mutex
	messages []Message
	made     map[string]int // by call key
	receipts map[string][]call.Receipt
	gates    map[string]chan struct{}
	away     bool
	deaf     bool // Past fails
	token    string
	settings map[string]any
	fired    map[string]int // by event id
	claimed  map[string]bool
}

// A Message is one that the world accepted.
type Message struct{ Action, Key, To, Text string }

// NewWorld returns a world in which nothing has happened.
func NewWorld() *World {
	return &World{
		made: map[string]int{}, receipts: map[string][]call.Receipt{}, gates: map[string]chan struct{}{},
		token: "good", fired: map[string]int{}, claimed: map[string]bool{},
	}
}

// Do performs test.send, test.prepared and test.get. What the text of a message begins with, up to a
// colon, says what becomes of it: "refuse": it is refused; "busy": it is refused at the
// first attempt; "lost": it is accepted, and the answer is lost; "void": it is not, and
// the answer is lost; "gate": its answer waits for Open of the recipient; "hang": it has
// no answer before its time is over; "echo": its id is the text. Anything else is accepted.
func (w *World) Do(ctx context.Context, c call.Call) call.Outcome {
	to, _ := c.Input["to"].(string)
	text, _ := c.Input["text"].(string)
	what, _, _ := strings.Cut(text, ":")
	w.mu.Lock()
	if w.away {
		w.mu.Unlock()
		return call.Outcome{Status: call.Failed, Held: true, Retryable: true, Error: &call.Error{Code: "vault", Class: "vault", Message: "the vault does not answer"}}
	}
	refused := c.Connection != "" && w.token != "good"
	w.made[c.Key]++
	w.mu.Unlock()
	if refused {
		o := failed("auth", false)
		o.Refused = true
		return o
	}
	if c.Action == "test.prepared" {
		w.at("prepared", c)
		for n := strings.Count(what, "begin"); n >= 0; n-- {
			if c.Begin != nil && c.Begin(ctx) != nil {
				return failed("not_begun", false)
			}
		}
	}
	w.at("taken", c)
	switch {
	case what == "refuse":
		return failed("refused", false)
	case what == "busy" && c.Attempt == 1:
		return failed("busy", true)
	case what == "void":
		return lost()
	case what == "hang":
		<-ctx.Done()
		return lost()
	}
	w.mu.Lock()
	w.messages = append(w.messages, Message{c.Action, c.Key, to, text})
	w.mu.Unlock()
	w.at("accepted", c)
	if what == "gate" {
		select {
		case <-w.gate(to):
		case <-ctx.Done():
			return lost()
		}
	}
	w.at("answered", c)
	if what == "lost" {
		return lost()
	}
	o := call.Outcome{Status: call.Succeeded, Output: map[string]any{"id": "id-" + c.Key, "delivery": "accepted"}}
	if what == "echo" {
		o.Output["id"] = text
	}
	if c.Await != "" {
		o.Status = call.Pending
	}
	return o
}

func (w *World) at(point string, c call.Call) {
	w.mu.Lock()
	f := w.OnDo
	w.mu.Unlock()
	if f != nil {
		f(point, c)
	}
}

func failed(code string, retryable bool) call.Outcome {
	return call.Outcome{
		Status: call.Failed, Retryable: retryable, Output: map[string]any{"delivery": "failed"},
		Error: &call.Error{Code: code, Class: "test", Message: "it was " + code},
	}
}

func lost() call.Outcome {
	return call.Outcome{
		Status: call.Unknown, Output: map[string]any{"delivery": "unknown"},
		Error: &call.Error{Code: "outcome_unknown", Class: "unknown", Message: "the answer was lost"},
	}
}

// Set changes what OnDo is.
func (w *World) Set(onDo func(point string, c call.Call)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.OnDo = onDo
}

func (w *World) gate(to string) chan struct{} {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.gates[to] == nil {
		w.gates[to] = make(chan struct{})
	}
	return w.gates[to]
}

// Open lets the messages to somebody be answered.
func (w *World) Open(to string) { close(w.gate(to)) }

// Away takes the vault away, or brings it back.
func (w *World) Away(away bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.away = away
}

// Token gives connections another token; all but "good" are refused.
func (w *World) Token(token string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.token = token
}

// Configure changes the settings of the project.
func (w *World) Configure(settings map[string]any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.settings = settings
}

func (w *World) library() plan.Library {
	w.mu.Lock()
	defer w.mu.Unlock()
	return plan.Library{Catalog: w, Settings: w.settings}
}

// Ready is the vault's answer for a connection.
func (w *World) Ready(context.Context, string) (version string, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.away {
		return "", errors.New("the vault does not answer")
	}
	return w.token, nil
}

// Past returns the receipts of calls that came so far.
func (w *World) Past(ctx context.Context, since time.Time, keys ...string) ([]call.Receipt, error) {
	return Past(func(key string) ([]call.Receipt, error) {
		w.mu.Lock()
		defer w.mu.Unlock()
		if w.deaf {
			return nil, errDeaf
		}
		return slices.Clone(w.receipts[key]), nil
	})(ctx, since, keys...)
}

// Past asks for the receipts of one call after the other.
func Past(of func(key string) ([]call.Receipt, error)) host.PastReceipts {
	return func(_ context.Context, _ time.Time, keys ...string) (came []call.Receipt, err error) {
		for _, key := range keys {
			receipts, err := of(key)
			if err != nil {
				return nil, err
			}
			for _, r := range receipts {
				r.Key = key
				came = append(came, r)
			}
		}
		return came, nil
	}
}

var errDeaf = errors.New("the receipts cannot be read")

// Deaf keeps hosts from receipts of before, or no longer.
func (w *World) Deaf(deaf bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.deaf = deaf
}

// Receipt makes the world remember a receipt of a call, and returns it.
func (w *World) Receipt(key, state string) call.Receipt {
	w.mu.Lock()
	defer w.mu.Unlock()
	r := call.Receipt{Key: key, ID: fmt.Sprintf("%s %s %d", key, state, len(w.receipts[key])), State: state, Data: map[string]any{"message_id": "id-" + key}}
	if state == "failed" {
		r.Error = &call.Error{Code: "undeliverable", Class: "test", Message: "it came back"}
	}
	w.receipts[key] = append(w.receipts[key], r)
	return r
}

// Fire is told of events.
func (w *World) Fire(_ context.Context, e host.Event, claimed bool) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.fired[e.ID]++
	w.claimed[e.ID] = w.claimed[e.ID] || claimed
	if w.fired[e.ID] == 1 && e.Data["text"] == "fail at first" {
		return errors.New("not now")
	}
	return nil
}

// Fired tells how often Fire was told of an event, and whether a run had consumed it.
func (w *World) Fired(id string) (times int, claimed bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.fired[id], w.claimed[id]
}

// Messages returns what was accepted for somebody.
func (w *World) Messages(to string) (out []Message) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, m := range w.messages {
		if m.To == to {
			out = append(out, m)
		}
	}
	return out
}

// Made returns how often each call was made.
func (w *World) Made() map[string]int {
	w.mu.Lock()
	defer w.mu.Unlock()
	out := make(map[string]int, len(w.made))
	maps.Copy(out, w.made)
	return out
}

func text(name string, required bool) *schema.Field {
	return &schema.Field{Name: name, Type: schema.StringType, Required: required}
}

// Action implements call.Catalog: test.send must not be repeated and has receipts,
// test.prepared is the same and prepares itself, test.get may be repeated.
func (w *World) Action(name string) *call.Signature {
	in := &schema.Type{Kind: schema.Object, Fields: []*schema.Field{text("to", true), text("text", false)}}
	out := &schema.Type{Kind: schema.Object, Fields: []*schema.Field{
		text("id", true), {Name: "delivery", Type: schema.StringType, Required: true, Always: true},
	}}
	switch name {
	case "test.send", "test.prepared":
		return &call.Signature{
			Name: name, App: "TEST", ConnectionOptional: true, In: in, Out: out,
			Prepares:  func(map[string]any) bool { return name == "test.prepared" },
			Recipient: func(in map[string]any) string { s, _ := in["to"].(string); return s },
			Limits: func(_ string, in map[string]any) []call.Limit {
				if to, _ := in["to"].(string); strings.HasPrefix(to, "slow") {
					return []call.Limit{{Key: "slow", Rate: 100, Burst: 1}}
				}
				return nil
			},
			States: []string{"sent", "delivered"}, UnknownOutput: map[string]any{"delivery": "unknown"},
			Settle: settle,
		}
	case "test.get":
		return &call.Signature{Name: name, In: in, Out: out, Idempotent: func(map[string]any) bool { return true }}
	}
	return nil
}

func settle(_, out map[string]any, r call.Receipt, want string) call.Outcome {
	o := call.Outcome{Status: call.Succeeded, Output: map[string]any{"delivery": r.State}}
	for name, v := range out {
		if name != "delivery" {
			o.Output[name] = v
		}
	}
	if id, _ := r.Data["message_id"].(string); id != "" {
		o.Output["id"] = id
	}
	switch {
	case r.State == "failed":
		o.Status, o.Error = call.Failed, r.Error
	case want == "delivered" && r.State != want:
		o.Status = call.Pending
	}
	return o
}

// Event implements call.Catalog: test.reply, from somebody, with a text.
func (w *World) Event(name string) *call.Event {
	if name != "test.reply" {
		return nil
	}
	return &call.Event{
		Name: name, By: "from", SinceCall: true, Connection: true,
		Type:    &schema.Type{Kind: schema.Object, Fields: []*schema.Field{{Name: "text", Type: schema.StringType, Required: true, Always: true}}},
		Subject: func(from string) (string, error) { return from, nil },
	}
}

// Names implements call.Catalog.
func (w *World) Names() (actions, events []string) {
	return []string{"test.get", "test.prepared", "test.send"}, []string{"test.reply"}
}

// Compile compiles a flow of the world.
func (w *World) Compile(t testing.TB, source string) *plan.Plan {
	t.Helper()
	f, diags := flow.Parse("test.flow.yaml", []byte(source))
	require.False(t, diags.HasErrors(), diags)
	p, diags := plan.Compile(f, w.library())
	require.False(t, diags.HasErrors(), diags)
	return p
}

// Restore compiles the plan of a stored run.
func (w *World) Restore(name string, sources map[string]string) (*plan.Plan, error) {
	p, diags := plan.Restore(name, sources, w.library())
	if diags.HasErrors() {
		return nil, diags.Err()
	}
	return p, nil
}
