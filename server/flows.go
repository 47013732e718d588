package server

import (
	"maps"
	"slices"

	"facteur/flow/diag"
	"facteur/flow/plan"
)

func (a *api) flows(req *request) (reply, error) {
	list := &FlowList{Flows: []Flow{}}
	for _, p := range a.Flows.Plans() {
		list.Flows = append(list.Flows, flowOf(p))
	}
	return ok(list)
}

func (a *api) flow(req *request) (reply, error) {
	p, err := a.plan(req.PathValue("flow"))
	if err != nil {
		return reply{}, err
	}
	sources := maps.Clone(p.Texts)
	delete(sources, plan.SettingsText)
	return ok(&FlowDetail{
		Flow: flowOf(p), Inputs: p.Inputs.JSONSchema(false), Outputs: p.OutputType.JSONSchema(false),
		Events: nonNil(p.Events), Sources: sources,
	})
}

func flowOf(p *plan.Plan) Flow {
	f := Flow{Flow: p.Name, Description: p.Description, Digest: p.Digest, Connections: nonNil(p.Connections), Triggers: []Trigger{}}
	if source := p.Sources[p.Name]; source != nil {
		f.File = source.Name
	}
	for _, t := range p.Triggers {
		f.Triggers = append(f.Triggers, Trigger{t.Kind, t.Path, t.Connection, t.Cron, t.Timezone, t.SenderPhoneID})
	}
	return f
}

// nonNil makes an empty list [] in JSON, not null.
func nonNil[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}

func (a *api) reload(req *request, _ struct{}) (reply, error) {
	before := digests(a.Flows.Plans())
	found, err := a.Flows.Reload(req.Context())
	if err != nil {
		return reply{}, err
	}
	if found.HasErrors() {
		p := problem(InvalidFlows, "fix the flows and reload again; until then, runs start with the previous flows", "%v", found.Err())
		p.Diagnostics = diagnostics(found)
		return reply{}, p
	}
	return ok(reloadChanges(before, digests(a.Flows.Plans()), found))
}

func diagnostics(list diag.List) []Diagnostic {
	out := make([]Diagnostic, len(list))
	for i, d := range list {
		var end diag.Pos
		if d.Range.Source != nil {
			end = d.Range.Source.Pos(d.Range.End)
		}
		start := d.Range.Pos()
		out[i] = Diagnostic{d.Range.File(), start.Line, start.Col, end.Line, end.Col, d.Severity.String(), d.Code, d.Message, d.Hint}
	}
	return out
}

func digests(plans []*plan.Plan) map[string]string {
	out := make(map[string]string, len(plans))
	for _, p := range plans {
		out[p.Name] = p.Digest
	}
	return out
}

func reloadChanges(before, after map[string]string, found diag.List) *Reloaded {
	out := &Reloaded{Flows: len(after), Added: []string{}, Changed: []string{}, Removed: []string{}, Diagnostics: diagnostics(found)}
	for _, name := range slices.Sorted(maps.Keys(after)) {
		switch old, known := before[name]; {
		case !known:
			out.Added = append(out.Added, name)
		case old != after[name]:
			out.Changed = append(out.Changed, name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(before)) {
		if _, stays := after[name]; !stays {
			out.Removed = append(out.Removed, name)
		}
	}
	return out
}
