package local_test

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"testing"
	"time"

	"facteur/flow"
	"facteur/flow/call"
	"facteur/flow/journal"
	"facteur/flow/local"
	"facteur/flow/machine"
	"facteur/flow/machine/stored"
	"facteur/flow/plan"
	"facteur/flow/schema"

	"github.com/stretchr/testify/require"
)

// A testCatalog has the actions test.send, which must not be repeated and has receipts,
// test.prepared, which is the same and calls Begin itself, and test.get, which may be repeated;
// and the event test.reply.
type testCatalog struct {
	app    string // of the connection that test.send takes; "": it takes none
	limits func(connection string, in map[string]any) []call.Limit
}

func textField(name string, required bool) *schema.Field {
	return &schema.Field{Name: name, Type: schema.StringType, Required: required}
}

func (k testCatalog) Action(name string) *call.Signature {
	in := &schema.Type{Kind: schema.Object, Fields: []*schema.Field{textField("to", true), textField("text", false)}}
	out := &schema.Type{Kind: schema.Object, Fields: []*schema.Field{
		textField("id", true), {Name: "delivery", Type: schema.StringType, Required: true, Always: true},
	}}
	to := func(in map[string]any) string { s, _ := in["to"].(string); return s }
	switch name {
	case "test.send", "test.prepared":
		return &call.Signature{
			Prepares: func(map[string]any) bool { return name == "test.prepared" },
			Name:     name, App: k.app, ConnectionOptional: true, In: in, Out: out, Limits: k.limits, Recipient: to,
			States: []string{"sent", "delivered"}, UnknownOutput: map[string]any{"delivery": "unknown"},
			Settle: func(_, out map[string]any, r call.Receipt, want string) call.Outcome {
				o := call.Outcome{Status: call.Succeeded, Output: map[string]any{"delivery": r.State}}
				if r.State == "failed" {
					o.Status = call.Failed
				} else if want == "delivered" && r.State != want {
					o.Status = call.Pending
				}
				return o
			},
		}
	case "test.get":
		return &call.Signature{Name: name, In: in, Out: out, Limits: k.limits, Idempotent: func(map[string]any) bool { return true }}
	}
	return nil
}

func (testCatalog) Event(name string) *call.Event {
	if name != "test.reply" {
		return nil
	}
	return &call.Event{
		Name: name, By: "from", SinceCall: true,
		Type:    &schema.Type{Kind: schema.Object, Fields: []*schema.Field{{Name: "text", Type: schema.StringType, Required: true, Always: true}}},
		Subject: func(from string) (string, error) { return from, nil },
	}
}

func (testCatalog) Names() (actions, events []string) {
	return []string{"test.get", "test.prepared", "test.send"}, []string{"test.reply"}
}

func (k testCatalog) compile(t testing.TB, source string) *plan.Plan {
	t.Helper()
	f, diags := flow.Parse("test.flow.yaml", []byte(source))
	require.False(t, diags.HasErrors(), diags)
	p, diags := plan.Compile(f, plan.Library{Catalog: k})
	require.False(t, diags.HasErrors(), diags)
	return p
}

func accepted(c call.Call) call.Outcome {
	return call.Outcome{Status: call.Succeeded, Output: map[string]any{"id": "id-" + c.Key, "delivery": "accepted"}}
}

func refused(retryable bool) call.Outcome {
	return call.Outcome{Status: call.Failed, Retryable: retryable, Output: map[string]any{"delivery": "failed"},
		Error: &call.Error{Code: "refused", Class: "test", Message: "no"}}
}

func lost() call.Outcome {
	return call.Outcome{Status: call.Unknown, Output: map[string]any{"delivery": "unknown"},
		Error: &call.Error{Code: "outcome_unknown", Class: "unknown", Message: "the answer is lost"}}
}

// A spyJournal calls a test before and after each write.
type spyJournal struct {
	journal.Journal
	mu     sync.Mutex
	writes int
	before func(n int, op string, durable bool, records []journal.Record) error
	after  func(n int, op string, durable bool, records []journal.Record) error
}

func (s *spyJournal) write(op string, durable bool, records []journal.Record, do func() error) error {
	s.mu.Lock()
	n := s.writes
	s.writes++
	s.mu.Unlock()
	if s.before != nil {
		if err := s.before(n, op, durable, records); err != nil {
			return err
		}
	}
	if err := do(); err != nil {
		return err
	}
	if s.after != nil {
		return s.after(n, op, durable, records)
	}
	return nil
}

func (s *spyJournal) Create(ctx context.Context, run journal.Run, c journal.Change) error {
	return s.write("create", true, c.Records, func() error { return s.Journal.Create(ctx, run, c) })
}

func (s *spyJournal) Write(ctx context.Context, run string, durable bool, c journal.Change) error {
	op := "write"
	if !c.Ended.IsZero() {
		op = "end"
	}
	return s.write(op, durable, c.Records, func() error { return s.Journal.Write(ctx, run, durable, c) })
}

// A callRecord is what tests read of a record about a call.
type callRecord struct {
	Key     string         `json:"key"`
	Outcome stored.Outcome `json:"outcome"`
}

func readCallRecord(t testing.TB, r journal.Record) (row callRecord) {
	t.Helper()
	require.NoError(t, json.Unmarshal(r.Body, &row))
	return row
}

// callsIn returns, by key, which calls were taken up in a run's records, and their outcomes.
func callsIn(t testing.TB, records []journal.Record) (taken map[string]bool, answered map[string]call.Status) {
	t.Helper()
	taken, answered = map[string]bool{}, map[string]call.Status{}
	for _, r := range records {
		switch row := readCallRecord(t, r); r.Kind {
		case "taken":
			require.False(t, taken[row.Key], "%s is taken up twice", row.Key)
			taken[row.Key] = true
		case "answered":
			require.True(t, taken[row.Key], "%s has an outcome before it was taken up", row.Key)
			require.Empty(t, answered[row.Key], "%s has two outcomes", row.Key)
			answered[row.Key] = row.Outcome.Status
		}
	}
	return taken, answered
}

// journalOf returns a journal with the first records of a run, as a crash leaves it.
func journalOf(t testing.TB, head journal.Run, records []journal.Record) *journal.Memory {
	t.Helper()
	head.Status, head.Ended = string(machine.Running), time.Time{}
	j := &journal.Memory{}
	require.NoError(t, j.Create(t.Context(), head, journal.Change{Records: records}))
	return j
}

const runID = "r"

func testStart() local.Start { return local.Start{ID: runID, Seed: make([]byte, 32)} }

func callKey(n int) string { return fmt.Sprintf("f1.%s.%d", runID, n) }
