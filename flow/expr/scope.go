package expr

import (
	"maps"
	"slices"

	"facteur/flow/schema"

	"github.com/google/cel-go/checker"
)

// A Scope is what expressions at one point of a flow may read. Scopes forked from each other
// share tables: use them from one goroutine at a time. Programs do not refer to their scope.
type Scope struct {
	names       table[*schema.Type]
	vars        table[*schema.Type]
	steps       table[knownStep]
	present     table[bool] // variables and properties that are proved to be present, by their path
	allowAbsent bool        // see AllowAbsent
	brokenWords []string    // words of the conditions on the path to here that did not compile; see Facts
	objects     *objects
	checker     *checker.Env // of this scope, created on first use
}

// A knownStep is a Step and the outputs that are proved to be present.
type knownStep struct {
	Step
	present []string
}

var runType = &schema.Type{Kind: schema.Object, Fields: []*schema.Field{
	{Name: "id", Type: schema.StringType, Required: true, Always: true, Doc: "the run's id"},
	{Name: "flow", Type: schema.StringType, Required: true, Always: true, Doc: "the flow's name"},
	{Name: "started_at", Type: schema.TimestampType, Required: true, Always: true, Doc: "when the run started"},
}}

// NewScope returns the scope at the start of a flow. It declares `run`; Bind adds others.
func NewScope() *Scope {
	s := &Scope{objects: &objects{}}
	s.names.set("run", runType)
	return s
}

// Fork returns a copy: changes to one do not affect the other.
func (s *Scope) Fork() *Scope {
	return &Scope{names: s.names.fork(), vars: s.vars.fork(), steps: s.steps.fork(), present: s.present.fork(), allowAbsent: s.allowAbsent, brokenWords: s.brokenWords, objects: s.objects}
}

// Bind declares a variable such as inputs, settings, event, error or a foreach's item, or
// redeclares it with another type.
func (s *Scope) Bind(name string, t *schema.Type) {
	s.names.set(name, t)
	s.forget(name)
	s.checker = nil
}

// Var returns the type of vars.<name>, or nil.
func (s *Scope) Var(name string) *schema.Type { return s.vars.m[name] }

// SetStep sets what is known about a step from here on.
func (s *Scope) SetStep(id string, st Step) {
	s.steps.set(id, knownStep{Step: st})
	s.forget("steps." + id)
}

// Step returns what is known about a step; ok is false for an unknown id.
func (s *Scope) Step(id string) (st Step, ok bool) {
	known, ok := s.steps.m[id]
	return known.Step, ok
}

// Assume narrows the scope by what a condition proves.
func (s *Scope) Assume(f Facts) {
	s.brokenWords = union(s.brokenWords, f.brokenWords)
	for id, known := range f.steps {
		st, ok := s.steps.m[id]
		switch {
		case ok:
			st.Outcomes &^= known.excluded
			st.present = union(st.present, known.present)
			s.steps.set(id, st)
		case known.excluded&Skipped != 0: // a variable or a property
			s.present.set(id, true)
		}
	}
}

// visibleSteps returns the ids of the steps that can be read here, sorted.
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

// ownerOf returns the variable that has a field of this name, "" if none has; if several have,
// the one that is closest to the expression.
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

// A table is a copy-on-write map.
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
