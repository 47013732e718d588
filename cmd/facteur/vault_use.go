package main

import (
	"cmp"
	"slices"

	"facteur/flow/plan"
	"facteur/vault"
)

// appOf tells what a connection is for: what the project file says, else what the flows
// use it for, else WHATSAPP.
func (p *project) appOf(name string) vault.App {
	if declared, ok := p.Connections[name]; ok {
		return vault.App(declared.App)
	}
	used := ""
	if loaded, _, err := loadFlows(p); err == nil { // flows with mistakes say nothing
		for _, flow := range sortedNames(loaded.plans) {
			used = cmp.Or(used, usedFor(loaded.plans[flow], name))
		}
	}
	return cmp.Or(vault.App(used), vault.WhatsApp)
}

// usedFor is the app that a flow uses a connection for, "" when it does not use it.
func usedFor(p *plan.Plan, connection string) string {
	if !slices.Contains(p.Connections, connection) {
		return ""
	}
	for _, t := range p.Triggers {
		if t.Connection == connection && t.Event != nil {
			return t.Event.App
		}
	}
	for _, s := range p.All {
		switch do := s.Do.(type) {
		case *plan.Action:
			if do.Connection == connection {
				return do.Signature.App
			}
		case *plan.WaitFor:
			if do.Connection == connection && do.Event != nil {
				return do.Event.App
			}
		case *plan.CallFlow:
			if app := usedFor(do.Plan, connection); app != "" {
				return app
			}
		}
	}
	return ""
}
