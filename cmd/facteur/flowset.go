package main

import (
	"context"
	"maps"
	"slices"
	"sync"
	"sync/atomic"

	"facteur/flow/call"
	"facteur/flow/diag"
	"facteur/flow/plan"
)

// A flowSet is the flows that a daemon runs. They are swapped as a whole.
type flowSet struct {
	root    string
	swapped func([]*plan.Plan) // is told of new ones
	current atomic.Pointer[loadedFlows]
	loading sync.Mutex
}

// loadedFlows are the flows of a project as they were read at one time.
type loadedFlows struct {
	project *project
	catalog call.Catalog
	plans   map[string]*plan.Plan
	senders senders
}

// loadFlows compiles all flows of a project. The diagnostics are those of all of them.
func loadFlows(p *project) (*loadedFlows, diag.List, error) {
	catalog, err := p.descriptions()
	if err != nil {
		return nil, nil, err
	}
	lib, err := p.projectLibrary(catalog)
	if err != nil {
		return nil, nil, err
	}
	files, err := p.flowFiles()
	if err != nil {
		return nil, nil, err
	}
	loaded := &loadedFlows{project: p, catalog: catalog, plans: make(map[string]*plan.Plan, len(files))}
	var all diag.List
	compiler := plan.NewCompiler(lib)
	for _, file := range files {
		compiled, found, err := p.compile(file, compiler)
		if err != nil {
			return nil, nil, err
		}
		all.Add(found)
		if compiled != nil {
			loaded.plans[compiled.Name] = compiled
		}
	}
	loaded.senders = sendersOf(loaded)
	return loaded, all, nil
}

// Plans implements server.Flows.
func (s *flowSet) Plans() []*plan.Plan {
	plans := s.current.Load().plans
	out := make([]*plan.Plan, 0, len(plans))
	for _, name := range slices.Sorted(maps.Keys(plans)) {
		out = append(out, plans[name])
	}
	return out
}

// Plan implements server.Flows.
func (s *flowSet) Plan(name string) *plan.Plan { return s.current.Load().plans[name] }

// Reload implements server.Flows: the flows, and the settings that they read, are taken
// anew, all or none. The rest of the project file is for the next start.
func (s *flowSet) Reload(context.Context) (diag.List, error) {
	s.loading.Lock()
	defer s.loading.Unlock()
	p, found, err := loadProject(s.root)
	if err != nil || found.HasErrors() {
		return found, err
	}
	p.book = s.current.Load().project.book
	loaded, more, err := loadFlows(p)
	found.Add(more)
	if err != nil || found.HasErrors() {
		return found, err
	}
	s.take(loaded)
	return found, nil
}

func (s *flowSet) take(loaded *loadedFlows) {
	s.current.Store(loaded)
	if s.swapped != nil {
		s.swapped(s.Plans())
	}
}

// restore compiles the sources that were stored with a run.
func (s *flowSet) restore(name string, sources map[string]string) (*plan.Plan, error) {
	now := s.current.Load()
	p, found := plan.Restore(name, sources, plan.Library{
		Catalog: now.catalog, Settings: now.project.Settings,
		App: func(connection string) (string, bool) {
			c, ok := now.project.Connections[connection]
			return c.App, ok
		},
	})
	return p, found.Err()
}

// connections lists the connections that the project declares or its flows use, sorted.
func (s *flowSet) connections() []string {
	now := s.current.Load()
	names := sortedNames(now.project.Connections)
	for _, p := range now.plans {
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
