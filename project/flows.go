package project

import (
	"slices"

	"facteur/flow/call"
	"facteur/flow/diag"
	"facteur/flow/plan"
)

// Flows are the compiled flows of a project, as of one reading.
type Flows struct {
	Project *Project
	Catalog call.Catalog
	Plans   map[string]*plan.Plan
}

// Restore compiles the sources that were stored with a run of a flow, with the current settings
// and connections.
func (f *Flows) Restore(name string, sources map[string]string) (*plan.Plan, error) {
	p, found := plan.Restore(name, sources, plan.Library{Catalog: f.Catalog, Settings: f.Project.Settings, ConnectionApp: f.Project.app})
	return p, found.Err()
}

// LoadFlows compiles all flows of a project. The diagnostics are those of all of them; a
// flow that only calls one with mistakes has none of its own, and no plan.
func LoadFlows(p *Project) (*Flows, diag.List, error) {
	lib, err := p.Library()
	if err != nil {
		return nil, nil, err
	}
	files, err := p.flowFiles()
	if err != nil {
		return nil, nil, err
	}
	loaded := &Flows{Project: p, Catalog: lib.Catalog, Plans: make(map[string]*plan.Plan, len(files))}
	var all diag.List
	compiler := plan.NewCompiler(lib)
	for _, file := range files {
		compiled, found, err := p.Compile(file, compiler)
		if err != nil {
			return nil, nil, err
		}
		all.Add(found)
		if compiled != nil {
			loaded.Plans[compiled.Name] = compiled
		}
	}
	own := slices.DeleteFunc(slices.Clone(all), func(d diag.Diagnostic) bool { return d.Code == "called-flow" })
	if own.HasErrors() {
		all = own
	}
	return loaded, all, nil
}
