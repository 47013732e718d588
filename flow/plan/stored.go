package plan

import (
	"facteur/flow"
	"facteur/flow/diag"
)

// Restore compiles the sources that were stored with a run, by flow name as in
// Plan.Texts, so that it can go on: see Library.Stored. name is the flow that runs;
// Flow and FlowNames of the library are not looked at. The plan is nil when the
// diagnostics hold an error.
func Restore(name string, sources map[string]string, lib Library) (*Plan, diag.List) {
	var diags diag.List
	flows := make(map[string]*flow.Flow, len(sources))
	for _, name := range sortedKeys(sources) {
		f, found := flow.Parse(name+".flow.yaml", []byte(sources[name]))
		diags.Add(found)
		if f != nil {
			flows[name] = f
		}
	}
	if diags.HasErrors() {
		return nil, diags
	}
	if flows[name] == nil {
		diags.Errorf("unknown-flow", diag.Range{}, "", "the source of the flow %q was not stored", name)
		return nil, diags
	}
	lib.Stored = true
	lib.Flow = func(name string) *flow.Flow { return flows[name] }
	lib.FlowNames = sortedKeys(flows)
	return Compile(flows[name], lib)
}
