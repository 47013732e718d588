package trigger

import (
	"maps"
	"slices"
	"strings"

	"facteur/flow/plan"
)

// WebhookSenders returns who may send to a path, which has the form of an event's subject: the
// connections that triggers and wait_for steps with that path name, and whether one of them
// accepts requests from anyone. Neither means that there is no such path.
func (s *Starter) WebhookSenders(path string) (connections []string, open bool) {
	if t := s.table.Load(); t != nil {
		connections, open = t.webhooks.lookup(path)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	more, waitOpen := s.waitPaths.lookup(path)
	return append(connections, more...), open || waitOpen
}

// WebhookPaths returns the paths that WebhookSenders knows, sorted. A path of which only a prefix
// is known ends in "…".
func (s *Starter) WebhookPaths() []string {
	var paths []string
	if t := s.table.Load(); t != nil {
		paths = t.webhooks.paths()
	}
	s.mu.Lock()
	paths = append(paths, s.waitPaths.paths()...)
	s.mu.Unlock()
	slices.Sort(paths)
	return slices.Compact(paths)
}

// KeepWebhooks adds the webhooks that steps of plans wait for: for plans of runs that have not
// ended, which the project no longer has.
func (s *Starter) KeepWebhooks(plans ...*plan.Plan) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range plans {
		s.waitPaths.addWaits(p)
	}
}

// webhookPaths has who may send to which paths.
type webhookPaths struct {
	exact  map[string]*senders
	prefix map[string]*senders // the rest of the path depends on the run
}

type senders struct {
	connections []string
	open        bool
}

func newWebhookPaths() *webhookPaths {
	return &webhookPaths{map[string]*senders{}, map[string]*senders{}}
}

func addSender(to map[string]*senders, path, connection string, open bool) {
	if connection == "" && !open {
		return
	}
	s := to[path]
	if s == nil {
		s = &senders{}
		to[path] = s
	}
	s.open = s.open || open
	if connection != "" && !slices.Contains(s.connections, connection) {
		s.connections = append(s.connections, connection)
	}
}

func (h *webhookPaths) lookup(path string) (connections []string, open bool) {
	add := func(s *senders) {
		connections = append(connections, s.connections...)
		open = open || s.open
	}
	if s := h.exact[path]; s != nil {
		add(s)
	}
	for prefix, s := range h.prefix {
		if strings.HasPrefix(path, prefix) {
			add(s)
		}
	}
	return connections, open
}

func (h *webhookPaths) paths() []string {
	paths := slices.Collect(maps.Keys(h.exact))
	for prefix := range h.prefix {
		paths = append(paths, prefix+"…")
	}
	return paths
}

// addWaits adds the webhooks that the steps of a plan, and of the flows that it calls, wait for.
func (h *webhookPaths) addWaits(p *plan.Plan) {
	for _, f := range p.Flows() {
		for _, step := range f.AllSteps {
			if do, ok := step.Do.(*plan.WaitFor); ok && do.Event != nil && do.Event.Name == "webhook" && do.Subject != nil {
				h.addWait(do)
			}
		}
	}
}

func (h *webhookPaths) addWait(w *plan.WaitFor) {
	if text, ok := w.Subject.Literal(); ok {
		path, _ := text.(string)
		if w.Event.Subject != nil {
			path, _ = w.Event.Subject(path)
		}
		addSender(h.exact, path, w.Connection, w.Open)
		return
	}
	addSender(h.prefix, "/"+strings.TrimLeft(w.Subject.Prefix(), "/"), w.Connection, w.Open)
}
