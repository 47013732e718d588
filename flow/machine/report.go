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

// A Step is the report on one step, for people; a step in a loop has one for each iteration.
// It says what is known by now: receipts and settlements correct it even after the step has
// ended, which the run's expressions do not see.
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
	Unknown  bool      // one of its calls has an unknown outcome
	// Sensitive: the outputs are masked wherever people see them.
	Sensitive bool

	ran bool // it was not skipped
}

// Steps returns the reports on the steps that started so far, in the order in which they
// did. The caller must not change them.
func (m *Machine) Steps() []*Step { return m.steps }

// Ended returns the steps that ended since the last call of Ended, in that order.
func (m *Machine) Ended() []*Step {
	if len(m.ended) == 0 {
		return nil
	}
	ended := m.ended
	m.ended = nil
	return ended
}

// Branches returns the branches that the run took so far; see plan.Plan.CoveragePoints.
func (m *Machine) Branches() map[plan.CoveragePoint]bool {
	out := make(map[plan.CoveragePoint]bool, len(m.steps)+len(m.branches))
	maps.Copy(out, m.branches)
	for _, s := range m.steps {
		if s.ran {
			out[plan.CoveragePoint{Flow: s.Flow, Place: s.Place}] = true
		}
	}
	return out
}

// Sensitive returns the values that are masked wherever people see them.
func (m *Machine) Sensitive() []any { return m.sensitive }

// beginStep returns a new report for a step, or reopens the one it has: a step in a finally
// or in on_failure is executed again after a retry.
func (m *Machine) beginStep(s *plan.Step, e *env) *Step {
	path := e.pathPrefix + strings.TrimPrefix(s.Place, e.placePrefix)
	if e.cleanup {
		if v := m.visits[path]; v != nil {
			v.status, v.outputs = v.report.Status, v.report.Outputs
			m.reopenStep(s, e, v.report)
			return v.report
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
	if e.cleanup {
		put(&m.visits, path, &visit{report: step})
	}
	return step
}

// reopenStep makes a step that has ended run again.
func (m *Machine) reopenStep(s *plan.Step, e *env, step *Step) {
	step.Status, step.Ended, step.Error, step.Outputs, step.Note = Running, time.Time{}, nil, nil, ""
	if s.ID != "" {
		e.steps[s.ID] = e.plan.InitialSteps[s.ID]
	}
}

func (m *Machine) endStep(step *Step, status Status) {
	step.Status, step.Ended = status, m.now
	m.ended = append(m.ended, step)
}

// tookBranch records a choice that a step of the run made, for the coverage of flow tests.
func (m *Machine) tookBranch(s *plan.Step, e *env, choice string) {
	put(&m.branches, plan.CoveragePoint{Flow: e.plan.Name, Place: s.Place, Choice: choice}, true)
}

// noteSensitive adds the values of sensitive inputs to m.sensitive.
func (m *Machine) noteSensitive(t *schema.Type, v any) {
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
				m.noteSensitive(of, v[f.Name])
			}
		}
		if t.Elem == nil {
			return
		}
		for _, name := range slices.Sorted(maps.Keys(v)) {
			m.noteSensitive(t.Elem, v[name])
		}
	case []any:
		for _, item := range v {
			m.noteSensitive(t.Elem, item)
		}
	}
}
