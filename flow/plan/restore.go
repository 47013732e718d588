package plan

import (
	"maps"
	"slices"

	"facteur/flow"
	"facteur/flow/diag"
)

// Restore compiles the texts stored with a run (Plan.Texts), so that the run can be resumed;
// see Library.Stored. name is the flow of the run. Flow and FlowNames of the library are
// ignored; its Settings are used only if none were stored, as by versions that stored sources
// alone. The plan is nil if the diagnostics hold an error.
//
// All else that a plan depends on is current: the actions and events of the catalogue. Their
// types are checked, so that a run that no longer fits them is not resumed. What they do may
// have changed, and so may the apps of connections: only the calls find out.
func Restore(name string, texts map[string]string, lib Library) (*Plan, diag.List) {
	var diags diag.List
	flows := make(map[string]*flow.Flow, len(texts))
	for _, name := range slices.Sorted(maps.Keys(texts)) {
		if name == SettingsText {
			continue
		}
		f, found := flow.Parse(name+".flow.yaml", []byte(texts[name]))
		diags.Add(found)
		if f != nil {
			flows[name] = f
		}
	}
	switch settings, err := SettingsOf(texts); {
	case err != nil:
		diags.Errorf("type", diag.Range{}, "", "the stored settings cannot be read: %v", err)
	case settings != nil:
		lib.Settings = settings
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
	lib.FlowNames = slices.Sorted(maps.Keys(flows))
	p, diags := Compile(flows[name], lib)
	if p != nil { // the run keeps the digest it started with, whatever this version would store
		p.Texts, p.Digest = texts, digest(name, texts)
	}
	return p, diags
}
