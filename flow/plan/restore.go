package plan

import (
	"maps"
	"slices"

	"facteur/flow"
	"facteur/flow/diag"
)

// Restore compiles what was stored with a run, which is what Plan.Texts held, so that it
// can go on: see Library.Stored. name is the flow that runs; Flow and FlowNames of the
// library are not looked at, and its Settings only where none were stored, as versions
// did that stored sources alone. The plan is nil when the diagnostics hold an error.
//
// All else that a plan depends on is that of today: the actions and events of the
// catalogue. Their types are checked, so that a run which no longer fits is not carried
// on; what they do may have changed, and so may the apps of connections, which only the
// calls themselves find out.
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
		diags.Errorf("type", diag.Range{}, "", "the settings that were stored cannot be read: %v", err)
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
	if p != nil { // it is the plan that was stored, whatever a later version would store
		p.Texts, p.Digest = texts, digest(name, texts)
	}
	return p, diags
}
