package trigger

import (
	"maps"
	"slices"
	"strings"

	"facteur/flow/plan"
)

// Hook tells who may send to a path, in the form of the event's subject: the connections
// that the triggers and waits for it name, and whether one of them lets anybody. Neither
// means that there is no such path.
func (s *Starter) Hook(path string) (connections []string, open bool) {
	if t := s.table.Load(); t != nil {
		connections, open = t.hooks.of(path)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	more, anybody := s.waits.of(path)
	return append(connections, more...), open || anybody
}

// Hooks lists the paths that Hook knows, sorted. Of some only the beginning is known: those
// end in "…".
func (s *Starter) Hooks() []string {
	var paths []string
	if t := s.table.Load(); t != nil {
		paths = t.hooks.paths()
	}
	s.mu.Lock()
	paths = append(paths, s.waits.paths()...)
	s.mu.Unlock()
	slices.Sort(paths)
	return slices.Compact(paths)
}

// Keep lets webhooks go on to reach what the steps of plans wait for, besides those of
// Set: for plans that the project no longer has and runs still follow.
func (s *Starter) Keep(plans ...*plan.Plan) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range plans {
		s.waits.addWaits(p)
	}
}

// A hooks tells who may send to which paths.
type hooks struct {
	exact  map[string]*hook
	prefix map[string]*hook // for paths that begin so: what follows is known only to runs
}

type hook struct {
	connections []string
	open        bool
}

func newHooks() *hooks { return &hooks{map[string]*hook{}, map[string]*hook{}} }

func add(to map[string]*hook, path, connection string, open bool) {
	if connection == "" && !open {
		return
	}
	one := to[path]
	if one == nil {
		one = &hook{}
		to[path] = one
	}
	one.open = one.open || open
	if connection != "" && !slices.Contains(one.connections, connection) {
		one.connections = append(one.connections, connection)
	}
}

func (h *hooks) of(path string) (connections []string, open bool) {
	take := func(one *hook) {
		connections = append(connections, one.connections...)
		open = open || one.open
	}
	if one := h.exact[path]; one != nil {
		take(one)
	}
	for prefix, one := range h.prefix {
		if strings.HasPrefix(path, prefix) {
			take(one)
		}
	}
	return connections, open
}

func (h *hooks) paths() []string {
	paths := slices.Collect(maps.Keys(h.exact))
	for prefix := range h.prefix {
		paths = append(paths, prefix+"…")
	}
	return paths
}

// addWaits adds what the steps of a plan wait for, and those of the flows that it calls.
func (h *hooks) addWaits(p *plan.Plan) {
	for _, f := range p.Flows() {
		for _, step := range f.AllSteps {
			if do, ok := step.Do.(*plan.WaitFor); ok && do.Event != nil && do.Event.Name == "webhook" && do.Subject != nil {
				h.addWait(do)
			}
		}
	}
}

func (h *hooks) addWait(w *plan.WaitFor) {
	if text, ok := w.Subject.Literal(); ok {
		path, _ := text.(string)
		if w.Event.Subject != nil {
			path, _ = w.Event.Subject(path)
		}
		add(h.exact, path, w.Connection, w.Open)
		return
	}
	add(h.prefix, "/"+strings.TrimLeft(w.Subject.Prefix(), "/"), w.Connection, w.Open)
}
