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

// A world is a host without a disk: it keeps the journal of a run and all that the
// machine ever asked for.
type world struct {
	t        testing.TB
	plan     *plan.Plan
	start    machine.Start
	m        *machine.Machine
	now      time.Time
	asked    []machine.Command
	journal  []machine.Event
	restored []machine.Event     // the same as a disk gives it back; as far as it was asked for
	wanted   [][]machine.Command // what was outstanding after so many events
	taken    map[string]bool
	past     []occurrence
	ids      int
}

// An occurrence is an event that came from outside.
type occurrence struct {
	id, name, subject string
	at                time.Time
	data              map[string]any
}

func newWorld(t testing.TB, p *plan.Plan, s machine.Start) *world {
	w := &world{t: t, plan: p, start: s, now: s.At, m: machine.New(p, s), taken: map[string]bool{}}
	w.note()
	return w
}

// note collects what the machine asks for, and returns it.
func (w *world) note() []machine.Command {
	fresh := w.m.Next()
	w.asked = append(w.asked, fresh...)
	w.asked = slices.DeleteFunc(w.asked, func(c machine.Command) bool { return !w.m.Wants(c) })
	w.wanted = append(w.wanted, slices.Clone(w.asked))
	return fresh
}

// apply records an event and tells the machine.
func (w *world) apply(e machine.Event) ([]machine.Command, error) {
	if err := w.m.Apply(e); err != nil {
		return nil, err
	}
	w.journal = append(w.journal, e)
	if taken, ok := e.(machine.Taken); ok {
		w.taken[taken.Key] = true
	}
	return w.note(), nil
}

func (w *world) must(e machine.Event) []machine.Command {
	w.t.Helper()
	fresh, err := w.apply(e)
	require.NoError(w.t, err)
	return fresh
}

// wants returns the outstanding commands of one kind.
func wants[C machine.Command](w *world) []C {
	var out []C
	for _, c := range w.asked {
		if c, ok := c.(C); ok && w.m.Wants(c) {
			out = append(out, c)
		}
	}
	return out
}

// calls returns those that are under way, or those that are not taken up.
func (w *world) calls(taken bool) []*machine.Call {
	return slices.DeleteFunc(wants[*machine.Call](w), func(c *machine.Call) bool { return w.taken[c.Key] != taken })
}

// due returns the timer that fires next.
func (w *world) due() (next machine.Sleep, ok bool) {
	for _, s := range wants[machine.Sleep](w) {
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
func (w *world) checkResume() {
	w.t.Helper()
	for i := range len(w.journal) + 1 {
		w.checkResumeAt(i)
	}
}

func (w *world) checkResumeAt(i int) {
	w.t.Helper()
	start := w.start
	start.Inputs, _ = throughJSON(start.Inputs).(map[string]any)
	start.At = start.At.In(time.UTC)
	if coerced, found := w.plan.Inputs.Coerce(start.Inputs); found.Err() == nil {
		start.Inputs, _ = coerced.(map[string]any)
	}
	for _, e := range w.journal[len(w.restored):] {
		w.restored = append(w.restored, stored(e))
	}
	m := machine.New(w.plan, start)
	for _, e := range w.restored[:i] {
		if err := m.Apply(e); err != nil {
			w.t.Fatalf("event %d of %d: %v", i, len(w.journal), err)
		}
	}
	commands, taken := m.Next(), w.takenAt(i)
	for _, c := range commands {
		if c, ok := c.(*machine.Call); ok {
			require.Equal(w.t, taken[c.Key], c.InFlight)
		}
	}
	require.Equal(w.t, outstanding(w.wanted[i], taken), outstanding(commands, taken), "outstanding after %d of %d events", i, len(w.journal))
	for _, e := range w.restored[i:] {
		if err := m.Apply(e); err != nil {
			w.t.Fatal(err)
		}
		m.Next()
	}
	require.Equal(w.t, w.m.Result(), m.Result())
	require.Equal(w.t, w.m.Steps(), m.Steps())
	require.Equal(w.t, w.m.Branches(), m.Branches())
	require.Equal(w.t, w.m.Unknown(), m.Unknown())
}

func (w *world) takenAt(i int) map[string]bool {
	taken := map[string]bool{}
	for _, e := range w.journal[:i] {
		if e, ok := e.(machine.Taken); ok {
			taken[e.Key] = true
		}
	}
	return taken
}

// stored is an event as a journal gives it back.
func stored(e machine.Event) machine.Event {
	switch e := e.(type) {
	case machine.Taken:
		e.At = e.At.UTC()
		return e
	case machine.Answered:
		e.At = e.At.UTC()
		e.Outcome.Output, _ = throughJSON(e.Outcome.Output).(map[string]any)
		e.Outcome.Error = storedError(e.Outcome.Error)
		return e
	case machine.Received:
		e.At = e.At.UTC()
		e.Receipt.Data, _ = throughJSON(e.Receipt.Data).(map[string]any)
		e.Receipt.Error = storedError(e.Receipt.Error)
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

func storedError(e *call.Error) *call.Error {
	if e == nil {
		return nil
	}
	out := *e
	out.Details, _ = throughJSON(e.Details).(map[string]any)
	return &out
}

// throughJSON writes a value as JSON and reads it, numbers as they stand there.
func throughJSON(v any) any {
	body, err := json.Marshal(texts(v))
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

// texts writes durations as people do.
func texts(v any) any {
	switch v := v.(type) {
	case time.Duration:
		return schema.FormatDuration(v)
	case map[string]any:
		if v == nil {
			return nil
		}
		out := map[string]any{}
		for k, x := range v {
			out[k] = texts(x)
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i, x := range v {
			out[i] = texts(x)
		}
		return out
	}
	return v
}

// number is the n of a call key f1.run.n.
func number(key string) int {
	n, _ := strconv.Atoi(key[strings.LastIndexByte(key, '.')+1:])
	return n
}
