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

// A World is what hosts are tested against: a fake API with its receipts, a vault, and a catalogue.
// It outlives hosts that crash. The text of a message says how its call ends; see Do.
type World struct {
	mu         sync.Mutex
	onDo       func(point string, c call.Call)
	messages   []Message
	callCounts map[string]int // by call key
	receipts   map[string][]call.Receipt
	gates      map[string]chan struct{}
	vaultDown  bool
	pastFails  bool // Past returns an error
	token      string
	settings   map[string]any
	fired      map[string]int // by event id
	claimed    map[string]bool
}

// A Message is a message that the API accepted.
type Message struct{ Action, Key, To, Text string }

// NewWorld returns a World without messages, whose vault works.
func NewWorld() *World {
	return &World{
		callCounts: map[string]int{}, receipts: map[string][]call.Receipt{}, gates: map[string]chan struct{}{},
		token: "good", fired: map[string]int{}, claimed: map[string]bool{},
	}
}

// Do performs test.send, test.prepared and test.get. The text up to a colon says how the call ends:
// "refuse": refused; "busy": refused at the first attempt; "lost": accepted, and the answer is lost;
// "void": not accepted, and the answer is lost; "gate": answered once Answer is called for the
// recipient; "hang": not answered before the call times out; "echo": its id is the text. Anything
// else is accepted.
func (w *World) Do(ctx context.Context, c call.Call) call.Outcome {
	to, _ := c.Input["to"].(string)
	text, _ := c.Input["text"].(string)
	what, _, _ := strings.Cut(text, ":")
	w.mu.Lock()
	if w.vaultDown {
		w.mu.Unlock()
		return call.Outcome{Status: call.Failed, Held: true, Retryable: true, Error: &call.Error{Code: "vault", Class: "vault", Message: "the vault does not answer"}}
	}
	refused := c.Connection != "" && w.token != "good"
	w.callCounts[c.Key]++
	w.mu.Unlock()
	if refused {
		o := failedOutcome("auth", false)
		o.Refused = true
		return o
	}
	if c.Action == "test.prepared" {
		w.callOnDo("prepared", c)
		for n := strings.Count(what, "begin"); n >= 0; n-- {
			if c.Begin != nil && c.Begin(ctx) != nil {
				return failedOutcome("not_begun", false)
			}
		}
	}
	w.callOnDo("taken", c)
	switch {
	case what == "refuse":
		return failedOutcome("refused", false)
	case what == "busy" && c.Attempt == 1:
		return failedOutcome("busy", true)
	case what == "void":
		return lostOutcome()
	case what == "hang":
		<-ctx.Done()
		return lostOutcome()
	}
	w.mu.Lock()
	w.messages = append(w.messages, Message{c.Action, c.Key, to, text})
	w.mu.Unlock()
	w.callOnDo("accepted", c)
	if what == "gate" {
		select {
		case <-w.gate(to):
		case <-ctx.Done():
			return lostOutcome()
		}
	}
	w.callOnDo("answered", c)
	if what == "lost" {
		return lostOutcome()
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

func (w *World) callOnDo(point string, c call.Call) {
	w.mu.Lock()
	f := w.onDo
	w.mu.Unlock()
	if f != nil {
		f(point, c)
	}
}

func failedOutcome(code string, retryable bool) call.Outcome {
	return call.Outcome{
		Status: call.Failed, Retryable: retryable, Output: map[string]any{"delivery": "failed"},
		Error: &call.Error{Code: code, Class: "test", Message: "it was " + code},
	}
}

func lostOutcome() call.Outcome {
	return call.Outcome{
		Status: call.Unknown, Output: map[string]any{"delivery": "unknown"},
		Error: &call.Error{Code: "outcome_unknown", Class: "unknown", Message: "the answer was lost"},
	}
}

// SetOnDo has onDo called at each point of a call: "prepared" (test.prepared only), "taken",
// "accepted" and "answered". nil: nothing is called.
func (w *World) SetOnDo(onDo func(point string, c call.Call)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.onDo = onDo
}

func (w *World) gate(to string) chan struct{} {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.gates[to] == nil {
		w.gates[to] = make(chan struct{})
	}
	return w.gates[to]
}

// Answer answers the messages to a recipient whose text is "gate".
func (w *World) Answer(to string) { close(w.gate(to)) }

// VaultDown makes the vault unreachable, or reachable again.
func (w *World) VaultDown(away bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.vaultDown = away
}

// SetToken changes the token of all connections. All but "good" are refused.
func (w *World) SetToken(token string) {
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

// Ready is a host.Ready.
func (w *World) Ready(context.Context, string) (version string, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.vaultDown {
		return "", errors.New("the vault does not answer")
	}
	return w.token, nil
}

// Past is a host.PastReceipts.
func (w *World) Past(ctx context.Context, since time.Time, keys ...string) ([]call.Receipt, error) {
	return PastByKey(func(key string) ([]call.Receipt, error) {
		w.mu.Lock()
		defer w.mu.Unlock()
		if w.pastFails {
			return nil, errPast
		}
		return slices.Clone(w.receipts[key]), nil
	})(ctx, since, keys...)
}

// PastByKey returns a host.PastReceipts that asks for one key after the other.
func PastByKey(of func(key string) ([]call.Receipt, error)) host.PastReceipts {
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

var errPast = errors.New("the receipts cannot be read")

// FailPast makes Past fail, or work again.
func (w *World) FailPast(deaf bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.pastFails = deaf
}

// Receipt adds a receipt of a call to what Past returns, and returns it.
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

// Fire implements the hosts' option Fire.
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

// Fired tells how often Fire was called for an event, and whether a run had consumed it.
func (w *World) Fired(id string) (times int, claimed bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.fired[id], w.claimed[id]
}

// Messages returns the messages that were accepted for a recipient.
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

// accepted tells whether a message of a call was accepted.
func (w *World) accepted(key string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.ContainsFunc(w.messages, func(m Message) bool { return m.Key == key })
}

// CallCounts returns how often each call was made, by key.
func (w *World) CallCounts() map[string]int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return maps.Clone(w.callCounts)
}

func textField(name string, required bool) *schema.Field {
	return &schema.Field{Name: name, Type: schema.StringType, Required: required}
}

// Action implements call.Catalog: test.send must not be repeated and has receipts,
// test.prepared is the same and calls Begin itself, test.get may be repeated.
func (w *World) Action(name string) *call.Signature {
	in := &schema.Type{Kind: schema.Object, Fields: []*schema.Field{textField("to", true), textField("text", false)}}
	out := &schema.Type{Kind: schema.Object, Fields: []*schema.Field{
		textField("id", true), {Name: "delivery", Type: schema.StringType, Required: true, Always: true},
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
			Settle: settleReceipt,
		}
	case "test.get":
		return &call.Signature{Name: name, In: in, Out: out, Idempotent: func(map[string]any) bool { return true }}
	}
	return nil
}

func settleReceipt(_, out map[string]any, r call.Receipt, want string) call.Outcome {
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

// Event implements call.Catalog: test.reply, from a contact, with a text.
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

// Compile compiles a flow against the catalogue.
func (w *World) Compile(t testing.TB, source string) *plan.Plan {
	t.Helper()
	f, diags := flow.Parse("test.flow.yaml", []byte(source))
	require.False(t, diags.HasErrors(), diags)
	p, diags := plan.Compile(f, w.library())
	require.False(t, diags.HasErrors(), diags)
	return p
}

// Restore is a host's option Restore.
func (w *World) Restore(name string, sources map[string]string) (*plan.Plan, error) {
	p, diags := plan.Restore(name, sources, w.library())
	if diags.HasErrors() {
		return nil, diags.Err()
	}
	return p, nil
}
