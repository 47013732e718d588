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

// A flowSet is the flows that a daemon runs. They are swapped as a whole.
type flowSet struct {
	root    string
	swapped func([]*plan.Plan) // is told of new ones
	current atomic.Pointer[liveFlows]
	loading sync.Mutex
}

// liveFlows are the flows of a project as they were read at one time, and the numbers that
// they name, or did since the daemon was started.
type liveFlows struct {
	*project.Flows
	senders senders
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

// Reload implements server.Flows: the flows, and the settings that they read, are taken
// anew, all or none. The rest of the project file is for the next start.
func (s *flowSet) Reload(context.Context) (diag.List, error) {
	s.loading.Lock()
	defer s.loading.Unlock()
	p, found, err := project.Load(s.root)
	if err != nil || found.HasErrors() {
		return found, err
	}
	p.Book = s.current.Load().Project.Book
	loaded, more, err := project.LoadFlows(p)
	found.Add(more)
	if err != nil || found.HasErrors() {
		return found, err
	}
	s.take(loaded)
	return found, nil
}

func (s *flowSet) take(loaded *project.Flows) {
	named := sendersOf(loaded)
	if before := s.current.Load(); before != nil { // runs that are under way keep their flows
		named.any = named.any || before.senders.any
		maps.Copy(named.ids, before.senders.ids)
	}
	s.current.Store(&liveFlows{loaded, named})
	if s.swapped != nil {
		s.swapped(s.Plans())
	}
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

// A senders is phone number IDs that a project names.
type senders struct {
	any bool // a flow computes one
	ids map[string]bool
}

var (
	senderKey     = regexp.MustCompile(`sender_phone_id["']?\s*:\s*["']?([^"'\s,}]+)`)
	senderLiteral = regexp.MustCompile(`^[0-9]+$`)
)

// sendersOf collects the numbers that flows, triggers and the project file name.
func sendersOf(f *project.Flows) senders {
	s := senders{ids: map[string]bool{}}
	for _, c := range f.Project.Connections {
		s.ids[c.SenderPhoneID] = true
	}
	for _, p := range f.Plans {
		for _, source := range p.Sources {
			for _, m := range senderKey.FindAllStringSubmatch(string(source.Text), -1) {
				s.ids[m[1]] = true
				s.any = s.any || !senderLiteral.MatchString(m[1])
			}
		}
	}
	return s
}
