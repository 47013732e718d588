package trigger

import (
	"slices"
	"strings"

	"facteur/flow/plan"
)

// WebhookSenders returns who may send to a path, which has the form of an event's subject: the
// connections that triggers and wait_for steps with that path name, and whether one of them
// accepts requests from anyone. Neither means that there is no such path.
func (s *Starter) WebhookSenders(path string) (connections []string, open bool) {
	if t := s.table.Load(); t != nil {
		connections, open = t.senders.lookup(path)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	more, waitOpen := s.waitSenders.lookup(path)
	return append(connections, more...), open || waitOpen
}

// WebhookPaths returns the paths that WebhookSenders knows, sorted. A path of which only a prefix
// is known ends in "…".
func (s *Starter) WebhookPaths() []string {
	var paths []string
	if t := s.table.Load(); t != nil {
		paths = t.senders.paths()
	}
	s.mu.Lock()
	paths = append(paths, s.waitSenders.paths()...)
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
		s.waitSenders.addWaits(p)
	}
}

// A webhookSender may send to a path: a connection, or anyone.
type webhookSender struct {
	path       string
	isPrefix   bool // the rest of the path depends on the run
	connection string
	open       bool
}

type webhookSenders []webhookSender

func (all *webhookSenders) add(s webhookSender) {
	if (s.connection != "" || s.open) && !slices.Contains(*all, s) {
		*all = append(*all, s)
	}
}

func (all webhookSenders) lookup(path string) (connections []string, open bool) {
	for _, s := range all {
		if s.path != path && (!s.isPrefix || !strings.HasPrefix(path, s.path)) {
			continue
		}
		open = open || s.open
		if s.connection != "" && !slices.Contains(connections, s.connection) {
			connections = append(connections, s.connection)
		}
	}
	return connections, open
}

func (all webhookSenders) paths() (paths []string) {
	for _, s := range all {
		if s.isPrefix {
			s.path += "…"
		}
		paths = append(paths, s.path)
	}
	return paths
}

// addWaits adds the webhooks that the steps of a plan, and of the flows that it calls, wait for.
func (all *webhookSenders) addWaits(p *plan.Plan) {
	for _, f := range p.Flows() {
		for _, step := range f.AllSteps {
			if do, ok := step.Do.(*plan.WaitFor); ok && do.Event != nil && do.Event.Name == "webhook" && do.Subject != nil {
				all.addWait(do)
			}
		}
	}
}

func (all *webhookSenders) addWait(w *plan.WaitFor) {
	if text, ok := w.Subject.Literal(); ok {
		path, _ := text.(string)
		if w.Event.Subject != nil {
			path, _ = w.Event.Subject(path)
		}
		all.add(webhookSender{path: path, connection: w.Connection, open: w.Open})
		return
	}
	all.add(webhookSender{path: "/" + strings.TrimLeft(w.Subject.Prefix(), "/"), isPrefix: true, connection: w.Connection, open: w.Open})
}
