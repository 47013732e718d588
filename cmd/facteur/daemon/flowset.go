package daemon

import (
	"context"
	"maps"
	"regexp"
	"slices"
	"sync"
	"sync/atomic"

	"facteur/flow/diag"
	"facteur/flow/plan"
	"facteur/project"
)

// A flowSet holds the current flows of a daemon, which are replaced as a whole.
type flowSet struct {
	root     string
	onChange func([]*plan.Plan) // is told of new ones
	current  atomic.Pointer[project.Flows]
	loading  sync.Mutex
	senders  senderSet // that they name, or did since the daemon was started, or runs still do
}

// Plans implements server.Flows.
func (s *flowSet) Plans() []*plan.Plan {
	plans := s.current.Load().Plans
	out := make([]*plan.Plan, 0, len(plans))
	for _, name := range slices.Sorted(maps.Keys(plans)) {
		out = append(out, plans[name])
	}
	return out
}

// Plan implements server.Flows.
func (s *flowSet) Plan(name string) *plan.Plan { return s.current.Load().Plans[name] }

// Reload implements server.Flows: it replaces the flows, and the settings that they read, all or
// none. The rest of the project file takes effect with the next start.
func (s *flowSet) Reload(context.Context) (diag.List, error) {
	s.loading.Lock()
	defer s.loading.Unlock()
	p, found, err := project.Load(s.root)
	if err != nil || found.HasErrors() {
		return found, err
	}
	p.Recipients = s.current.Load().Project.Recipients
	loaded, more, err := project.LoadFlows(p)
	found.Add(more)
	if err != nil || found.HasErrors() {
		return found, err
	}
	s.set(loaded)
	return found, nil
}

func (s *flowSet) set(loaded *project.Flows) {
	s.senders.add(loaded.Project.Connections, slices.Collect(maps.Values(loaded.Plans))...)
	s.current.Store(loaded)
	if s.onChange != nil {
		s.onChange(s.Plans())
	}
}

// restore returns the plan of a stored run: the current one if its texts have not changed.
func (s *flowSet) restore(name string, texts map[string]string) (*plan.Plan, error) {
	now := s.current.Load()
	if p := now.Plans[name]; p != nil && maps.Equal(p.Texts, texts) {
		return p, nil
	}
	p, err := now.Restore(name, texts)
	if err == nil {
		s.senders.add(nil, p)
	}
	return p, err
}

// connections lists the connections that the project declares or its flows use, sorted.
func (s *flowSet) connections() []string {
	now := s.current.Load()
	names := slices.Collect(maps.Keys(now.Project.Connections))
	for _, p := range now.Plans {
		names = append(names, p.Connections...)
		for _, t := range p.Triggers {
			if t.Connection != "" {
				names = append(names, t.Connection)
			}
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// A senderSet holds the phone number IDs that a project's connections and flows name. It only
// grows: runs under way keep their flows.
type senderSet struct {
	mu  sync.RWMutex
	any bool // a flow computes one
	ids map[string]bool
}

var (
	senderKey     = regexp.MustCompile(`sender_phone_id["']?\s*:\s*["']?([^"'\s,}]+)`)
	senderLiteral = regexp.MustCompile(`^[0-9]+$`)
)

// add adds the numbers that connections, and flows with their triggers, name.
func (s *senderSet) add(connections map[string]project.Connection, plans ...*plan.Plan) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ids == nil {
		s.ids = map[string]bool{}
	}
	for _, c := range connections {
		s.ids[c.SenderPhoneID] = true
	}
	for _, p := range plans {
		for _, source := range p.Sources {
			for _, m := range senderKey.FindAllStringSubmatch(string(source.Text), -1) {
				s.ids[m[1]] = true
				s.any = s.any || !senderLiteral.MatchString(m[1])
			}
		}
	}
}

func (s *senderSet) has(id string) bool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.any || s.ids[id]
}
