package expr

import (
	"maps"
	"slices"

	"facteur/flow/schema"

	"github.com/google/cel-go/checker"
)

// A Scope is what expressions at one place of a flow may read. Scopes that were forked
// from each other share tables: use a family of scopes from one goroutine at a time.
// Programs do not refer to their scope.
type Scope struct {
	names   table[*schema.Type]
	vars    table[*schema.Type]
	unset   table[bool] // the variables that may not be set
	steps   table[knownStep]
	there   table[bool] // the properties that are proved to be there, by their place
	trust   bool        // see Trust
	lost    []string    // the words of the broken conditions on the way here, see unset
	objects *objects
	checker *checker.Env // of this scope, nil until it is needed
}

// A knownStep is a Step and the outputs that are proved to be there.
type knownStep struct {
	Step
	has []string
}

var runType = &schema.Type{Kind: schema.Object, Fields: []*schema.Field{
	{Name: "id", Type: schema.StringType, Required: true, Always: true, Doc: "the run's id"},
	{Name: "flow", Type: schema.StringType, Required: true, Always: true, Doc: "the flow's name"},
	{Name: "started_at", Type: schema.TimestampType, Required: true, Always: true, Doc: "when the run started"},
}}

// NewScope returns the scope at a flow's start. It declares `run`; Bind adds others.
func NewScope() *Scope {
	s := &Scope{objects: &objects{}}
	s.names.set("run", runType)
	return s
}

// Fork returns a copy: what is set on one is not seen by the other.
func (s *Scope) Fork() *Scope {
	return &Scope{names: s.names.fork(), vars: s.vars.fork(), unset: s.unset.fork(), steps: s.steps.fork(), there: s.there.fork(), trust: s.trust, lost: s.lost, objects: s.objects}
}

// Bind declares a variable, or declares it anew with another type, e.g. inputs,
// settings, event, error, a foreach's item.
func (s *Scope) Bind(name string, t *schema.Type) {
	s.names.set(name, t)
	s.forget(name)
	s.checker = nil
}

// SetVar declares vars.<name>, which is set from here on.
func (s *Scope) SetVar(name string, t *schema.Type) {
	s.Renew(name, t)
	if s.unset.m[name] {
		s.unset.set(name, false)
	}
}

// Var returns the type of vars.<name>, or nil.
func (s *Scope) Var(name string) *schema.Type { return s.vars.m[name] }

// SetStep says what is known about a step from here on.
func (s *Scope) SetStep(id string, st Step) {
	s.steps.set(id, knownStep{Step: st})
	s.forget("steps." + id)
}

// Step returns what is known about a step; ok is false for an id never set.
func (s *Scope) Step(id string) (st Step, ok bool) {
	known, ok := s.steps.m[id]
	return known.Step, ok
}

// Assume narrows the scope by what a condition proved.
func (s *Scope) Assume(f Facts) {
	s.lost = union(s.lost, f.lost)
	for id, known := range f.steps {
		st, ok := s.steps.m[id]
		if !ok {
			s.assumeThere(id, known)
			continue
		}
		st.Outcomes &^= known.not
		st.has = union(st.has, known.has)
		s.steps.set(id, st)
	}
}

// visibleSteps returns the ids that can be read here, sorted.
func (s *Scope) visibleSteps() []string {
	var ids []string
	for id, st := range s.steps.m {
		if st.Hidden == "" {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return ids
}

// ownerOf names the object that has a field of this name, "" when none has. Of several it is
// the one that is nearest to the expression.
func (s *Scope) ownerOf(field string) string {
	for _, owner := range []string{"event", "error", "inputs", "settings"} {
		if t := s.names.m[owner]; t != nil && t.Field(field) != nil {
			return owner
		}
	}
	return ""
}

// variables returns the names that an expression may begin with, sorted.
func (s *Scope) variables() []string {
	names := slices.Collect(maps.Keys(s.names.m))
	names = append(names, "steps", "vars")
	slices.Sort(names)
	return slices.Compact(names)
}

// A table is a map that is copied before it is written when a fork shares it.
type table[V any] struct {
	m      map[string]V
	shared bool
}

func (t *table[V]) fork() table[V] {
	t.shared = true
	return *t
}

func (t *table[V]) set(name string, v V) {
	switch {
	case t.m == nil:
		t.m = map[string]V{}
	case t.shared:
		t.m = maps.Clone(t.m)
	}
	t.shared = false
	t.m[name] = v
}
