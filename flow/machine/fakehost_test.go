package machine_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"facteur/flow"
	"facteur/flow/call"
	"facteur/flow/machine"
	"facteur/flow/plan"
	"facteur/flow/schema"

	"github.com/stretchr/testify/require"
)

// epoch is when runs start: as the clock of a host in Paris shows it.
var epoch = time.Date(2026, 1, 1, 1, 0, 0, 0, time.FixedZone("CET", 3600))

// compile compiles flows; the first is the one that runs, the others it may call.
func compile(t testing.TB, texts ...string) *plan.Plan {
	t.Helper()
	flows := map[string]*flow.Flow{}
	var first *flow.Flow
	for i, text := range texts {
		f, diags := flow.Parse(fmt.Sprintf("flow%d.yaml", i), []byte(text))
		require.NoError(t, diags.Err())
		flows[f.Name.Value] = f
		if i == 0 {
			first = f
		}
	}
	p, diags := plan.Compile(first, plan.Library{
		Catalog:  catalogue{},
		Flow:     func(name string) *flow.Flow { return flows[name] },
		Settings: map[string]any{"shop": "Chez Nous"},
	})
	require.NoError(t, diags.Err())
	return p
}

func newStart(p *plan.Plan, inputs map[string]any) machine.Start {
	coerced, _ := p.Inputs.Coerce(inputs)
	inputs, _ = coerced.(map[string]any)
	return machine.Start{Run: "run", At: epoch, Inputs: inputs, Seed: bytes.Repeat([]byte{7}, 32), Receipts: true}
}

// A fakeHost keeps the journal of one run, and the commands that the run wants, in memory.
type fakeHost struct {
	t           testing.TB
	plan        *plan.Plan
	start       machine.Start
	m           *machine.Machine
	now         time.Time
	wanted      []machine.Command
	journal     []machine.Event
	restored    []machine.Event     // the same as a disk gives it back; as far as it was asked for
	outstanding [][]machine.Command // what was outstanding after so many events
	taken       map[string]bool
	events      []externalEvent
	ids         int
}

// An externalEvent is an event that came from outside.
type externalEvent struct {
	id, name, subject string
	at                time.Time
	data              map[string]any
}

func newFakeHost(t testing.TB, p *plan.Plan, s machine.Start) *fakeHost {
	w := &fakeHost{t: t, plan: p, start: s, now: s.At, m: machine.New(p, s), taken: map[string]bool{}}
	w.collect()
	return w
}

// collect collects what the machine asks for, and returns it.
func (h *fakeHost) collect() []machine.Command {
	fresh := h.m.Next()
	h.wanted = append(h.wanted, fresh...)
	h.wanted = slices.DeleteFunc(h.wanted, func(c machine.Command) bool { return !h.m.Wants(c) })
	h.outstanding = append(h.outstanding, slices.Clone(h.wanted))
	return fresh
}

// apply records an event and tells the machine.
func (h *fakeHost) apply(e machine.Event) ([]machine.Command, error) {
	if err := h.m.Apply(e); err != nil {
		return nil, err
	}
	h.journal = append(h.journal, e)
	if taken, ok := e.(machine.Taken); ok {
		h.taken[taken.Key] = true
	}
	return h.collect(), nil
}

func (h *fakeHost) must(e machine.Event) []machine.Command {
	h.t.Helper()
	fresh, err := h.apply(e)
	require.NoError(h.t, err)
	return fresh
}

// wants returns the outstanding commands of one kind.
func wants[C machine.Command](w *fakeHost) []C {
	var out []C
	for _, c := range w.wanted {
		if c, ok := c.(C); ok && w.m.Wants(c) {
			out = append(out, c)
		}
	}
	return out
}

// calls returns those that are under way, or those that are not taken up.
func (h *fakeHost) calls(taken bool) []*machine.Call {
	return slices.DeleteFunc(wants[*machine.Call](h), func(c *machine.Call) bool { return h.taken[c.Key] != taken })
}

// due returns the timer that fires next.
func (h *fakeHost) due() (next machine.Sleep, ok bool) {
	for _, s := range wants[machine.Sleep](h) {
		if !ok || s.Until.Before(next.Until) {
			next, ok = s, true
		}
	}
	return next, ok
}

// outstanding writes commands so that two lists of the same ones are equal.
func outstanding(commands []machine.Command, taken map[string]bool) []string {
	out := []string{}
	for _, c := range commands {
		switch c := c.(type) {
		case *machine.Call:
			one := *c
			one.InFlight = taken[c.Key]
			out = append(out, fmt.Sprintf("%#v", one))
		case machine.Sleep:
			out = append(out, fmt.Sprintf("timer %d at %s", c.Timer, c.Until))
		case machine.Await:
			out = append(out, fmt.Sprintf("%#v %s", c.ID, c.Event+c.Subject+c.Connection+c.Since.String()))
		default:
			out = append(out, fmt.Sprintf("%#v", c))
		}
	}
	slices.Sort(out)
	return out
}

// checkResume resumes the run from every prefix of its journal, as it would be read
// from a disk: the same must be outstanding there, and the rest must lead to the same end.
func (h *fakeHost) checkResume() {
	h.t.Helper()
	for i := range len(h.journal) + 1 {
		h.checkResumeAt(i)
	}
}

func (h *fakeHost) checkResumeAt(i int) {
	h.t.Helper()
	start := h.start
	start.Inputs, _ = throughJSON(start.Inputs).(map[string]any)
	start.At = start.At.In(time.UTC)
	if coerced, found := h.plan.Inputs.Coerce(start.Inputs); found.Err() == nil {
		start.Inputs, _ = coerced.(map[string]any)
	}
	for _, e := range h.journal[len(h.restored):] {
		h.restored = append(h.restored, throughJournal(e))
	}
	m := machine.New(h.plan, start)
	for _, e := range h.restored[:i] {
		if err := m.Apply(e); err != nil {
			h.t.Fatalf("event %d of %d: %v", i, len(h.journal), err)
		}
	}
	commands, taken := m.Next(), h.takenAt(i)
	for _, c := range commands {
		if c, ok := c.(*machine.Call); ok {
			require.Equal(h.t, taken[c.Key], c.InFlight)
		}
	}
	require.Equal(h.t, outstanding(h.outstanding[i], taken), outstanding(commands, taken), "outstanding after %d of %d events", i, len(h.journal))
	for _, e := range h.restored[i:] {
		if err := m.Apply(e); err != nil {
			h.t.Fatal(err)
		}
		m.Next()
	}
	require.Equal(h.t, h.m.Result(), m.Result())
	require.Equal(h.t, h.m.Steps(), m.Steps())
	require.Equal(h.t, h.m.Branches(), m.Branches())
	require.Equal(h.t, h.m.Unknown(), m.Unknown())
}

func (h *fakeHost) takenAt(i int) map[string]bool {
	taken := map[string]bool{}
	for _, e := range h.journal[:i] {
		if e, ok := e.(machine.Taken); ok {
			taken[e.Key] = true
		}
	}
	return taken
}

// throughJournal is an event as a journal gives it back.
func throughJournal(e machine.Event) machine.Event {
	switch e := e.(type) {
	case machine.Taken:
		e.At = e.At.UTC()
		return e
	case machine.Answered:
		e.At = e.At.UTC()
		e.Outcome.Output, _ = throughJSON(e.Outcome.Output).(map[string]any)
		e.Outcome.Error = throughJournalError(e.Outcome.Error)
		return e
	case machine.Received:
		e.At = e.At.UTC()
		e.Receipt.Data, _ = throughJSON(e.Receipt.Data).(map[string]any)
		e.Receipt.Error = throughJournalError(e.Receipt.Error)
		return e
	case machine.Arrived:
		e.At = e.At.UTC()
		e.Data, _ = throughJSON(e.Data).(map[string]any)
		return e
	case machine.Fired:
		e.At = e.At.UTC()
		return e
	case machine.CancelRequested:
		e.At = e.At.UTC()
		return e
	case machine.Retried:
		e.At = e.At.UTC()
		return e
	case machine.Settled:
		e.At = e.At.UTC()
		return e
	}
	panic(fmt.Sprintf("%T", e))
}

func throughJournalError(e *call.Error) *call.Error {
	if e == nil {
		return nil
	}
	out := *e
	out.Details, _ = throughJSON(e.Details).(map[string]any)
	return &out
}

// throughJSON writes a value as JSON and reads it, numbers as they stand there.
func throughJSON(v any) any {
	body, err := json.Marshal(formatDurations(v))
	if err != nil {
		panic(err)
	}
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	var out any
	if err := d.Decode(&out); err != nil {
		panic(err)
	}
	return out
}

// formatDurations writes durations as people do.
func formatDurations(v any) any {
	switch v := v.(type) {
	case time.Duration:
		return schema.FormatDuration(v)
	case map[string]any:
		if v == nil {
			return nil
		}
		out := map[string]any{}
		for k, x := range v {
			out[k] = formatDurations(x)
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i, x := range v {
			out[i] = formatDurations(x)
		}
		return out
	}
	return v
}

// callNumber is the n of a call key f1.run.n.
func callNumber(key string) int {
	n, _ := strconv.Atoi(key[strings.LastIndexByte(key, '.')+1:])
	return n
}
