package machine

import (
	"maps"
	"slices"
	"strings"
	"time"

	"facteur/flow/call"
	"facteur/flow/plan"
	"facteur/flow/schema"
)

// A Step is what became of one step, for people; a step in a loop has one for each
// iteration. It says what is known by now: receipts and settlements correct it also when
// the step has ended, which nothing in the run hears of.
type Step struct {
	// Path is where in the run the step stands, e.g. "each[3].notify" or
	// "each[3].steps[0]". It is unique, but for steps in a loop in a finally or in
	// on_failure that a retry came to with other items.
	Path     string
	ID       string
	Kind     string
	Flow     string // the flow that it stands in
	Place    string // where it stands there
	Action   string // the action that it calls, "" for other kinds
	Status   Status
	Attempts int
	Outputs  map[string]any
	Error    *call.Error
	Started  time.Time
	Ended    time.Time // zero while it runs
	Keys     []string  // of its calls
	Note     string    // why it goes on waiting, e.g. a `when` that could not be evaluated
	State    string    // the furthest that receipts have shown of its call, e.g. "delivered"; "" when none came
	Unknown  bool      // one of its calls may have happened, and nobody knows
	// Sensitive: the outputs are masked wherever people see them.
	Sensitive bool

	ran bool // it was not skipped
}

// Steps returns what became of each step so far, in the order in which they started.
// The caller must not change what it points to.
func (m *Machine) Steps() []*Step { return m.steps }

// Ended returns the steps that ended since the last call, in the order in which they
// did.
func (m *Machine) Ended() []*Step {
	if len(m.ended) == 0 {
		return nil
	}
	ended := m.ended
	m.ended = nil
	return ended
}

// Branches tells which ways the run took so far; see plan.Branches.
func (m *Machine) Branches() map[plan.Branch]bool {
	out := make(map[plan.Branch]bool, len(m.steps)+len(m.ways))
	for _, s := range m.steps {
		if s.ran {
			out[plan.Branch{Flow: s.Flow, Place: s.Place}] = true
		}
	}
	for w, flow := range m.ways {
		out[w.branch(flow)] = true
	}
	return out
}

// Sensitive returns the values that are masked wherever people see them.
func (m *Machine) Sensitive() []any { return m.sensitive }

func (m *Machine) began(s *plan.Step, e *env) *Step {
	path := e.path + strings.TrimPrefix(s.Place, e.inside)
	if e.last {
		if past := m.pasts[path]; past != nil {
			past.status, past.outputs = past.report.Status, past.report.Outputs
			m.reopen(s, e, past.report)
			return past.report
		}
	}
	step := &Step{
		Path: path, ID: s.ID, Kind: s.Kind, Flow: e.plan.Name, Place: s.Place,
		Status: Running, Started: m.now, Sensitive: s.Sensitive,
	}
	if do, ok := s.Do.(*plan.Action); ok {
		step.Action = do.Signature.Name
	}
	m.steps = append(m.steps, step)
	if e.last {
		put(&m.pasts, path, &past{report: step})
	}
	return step
}

// reopen makes a step that ended one that runs.
func (m *Machine) reopen(s *plan.Step, e *env, step *Step) {
	step.Status, step.Ended, step.Error, step.Outputs, step.Note = Running, time.Time{}, nil, nil, ""
	if s.ID != "" {
		e.steps[s.ID] = e.plan.Unrun[s.ID]
	}
}

func (m *Machine) end(step *Step, status Status) {
	step.Status, step.Ended = status, m.now
	m.ended = append(m.ended, step)
}

// A way is a plan.Branch that the run took, as it is cheap to note.
type way struct {
	step *plan.Step
	kind wayKind
	at   int // of a case or a catch
}

type wayKind uint8

const (
	ifYes wayKind = iota
	ifNot
	byDefault
	onTimeout
	caseAt
	catchAt
)

// branch gives the way its name.
func (w way) branch(flow string) plan.Branch {
	b := plan.Branch{Flow: flow, Place: w.step.Place}
	switch w.kind {
	case ifYes:
		b.Way = plan.IfWay
	case ifNot:
		b.Way = plan.IfNotWay
	case byDefault:
		b.Way = plan.DefaultWay
	case onTimeout:
		b.Way = plan.TimeoutWay
	case caseAt:
		b.Way = plan.CaseWay(w.at)
	case catchAt:
		b.Way = plan.CatchWay(w.at)
	}
	return b
}

// took records that the run went a way that a flow test may cover.
func (m *Machine) took(s *plan.Step, e *env, kind wayKind, at int) {
	w := way{s, kind, at}
	if _, ok := m.ways[w]; !ok {
		put(&m.ways, w, e.plan.Name)
	}
}

// hideInputs remembers the values of sensitive inputs.
func (m *Machine) hideInputs(t *schema.Type, v any) {
	if t == nil || v == nil {
		return
	}
	if t.Sensitive {
		m.sensitive = append(m.sensitive, v)
		return
	}
	switch v := v.(type) {
	case map[string]any:
		for _, f := range t.Fields {
			if of := f.Type; of.Sensitive || of.Elem != nil || of.Fields != nil {
				m.hideInputs(of, v[f.Name])
			}
		}
		if t.Elem == nil {
			return
		}
		for _, name := range slices.Sorted(maps.Keys(v)) {
			m.hideInputs(t.Elem, v[name])
		}
	case []any:
		for _, item := range v {
			m.hideInputs(t.Elem, item)
		}
	}
}
