package project

import (
	"cmp"
	"maps"
	"slices"

	"facteur/flow/plan"
	"facteur/vault"
)

// AppOf returns the app of a connection: by the project file, else by the flows that use it,
// else WHATSAPP.
func (p *Project) AppOf(name string) vault.App {
	if declared, ok := p.Connections[name]; ok {
		return vault.App(declared.App)
	}
	used := ""
	if loaded, _, err := LoadFlows(p); err == nil { // flows with mistakes have no plan
		for _, flow := range slices.Sorted(maps.Keys(loaded.Plans)) {
			used = cmp.Or(used, AppUsed(loaded.Plans[flow], name))
		}
	}
	return cmp.Or(vault.App(used), vault.WhatsApp)
}

// AppUsed returns the app that a flow, or one that it calls, uses a connection for; "" if none
// uses it.
func AppUsed(p *plan.Plan, connection string) string {
	for _, f := range p.Flows() {
		for _, t := range f.Triggers {
			if t.Connection == connection && t.Event != nil {
				return t.Event.App
			}
		}
		for _, s := range f.AllSteps {
			switch do := s.Do.(type) {
			case *plan.Action:
				if do.Connection == connection {
					return do.Signature.App
				}
			case *plan.WaitFor:
				if do.Connection == connection && do.Event != nil {
					return do.Event.App
				}
			}
		}
	}
	return ""
}

// SenderConnections returns the WhatsApp connections that the actions of a flow, and of the flows
// that it calls, use, sorted.
func SenderConnections(p *plan.Plan) []string {
	var names []string
	for _, f := range p.Flows() {
		for _, s := range f.AllSteps {
			if do, ok := s.Do.(*plan.Action); ok && vault.App(do.Signature.App) == vault.WhatsApp {
				names = append(names, do.Connection)
			}
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// ExampleSender is the phone number ID used where only the vault knows the real one.
const ExampleSender = "106540352242922"

// whatsapp returns the names of the project's WhatsApp connections, sorted.
func (p *Project) whatsapp() []string {
	return slices.DeleteFunc(slices.Sorted(maps.Keys(p.Connections)), func(name string) bool {
		return vault.App(p.Connections[name].App) != vault.WhatsApp
	})
}

// SenderNumbers returns the phone number IDs of the project file, with ExampleSender for those
// that only the vault knows.
func (p *Project) SenderNumbers() []string {
	var ids []string
	for _, name := range p.whatsapp() {
		ids = append(ids, cmp.Or(p.Connections[name].SenderPhoneID, ExampleSender))
	}
	if len(ids) == 0 {
		return []string{ExampleSender}
	}
	return ids
}

// TestToken is the token of connections in tests.
const TestToken = "test-token"

// TestConnections makes connections in which token replaces every secret that is not given. The
// app of one that the project file does not declare is the one that the flow uses it for.
func (p *Project) TestConnections(user *plan.Plan, names []string, given map[string]map[string]string, token string) (map[string]vault.Connection, error) {
	out := map[string]vault.Connection{}
	for _, name := range names {
		c := vault.Connection{Name: name, App: cmp.Or(vault.App(AppUsed(user, name)), vault.WhatsApp), Setup: map[string]string{}, Secrets: map[string]vault.Secret{}, Version: "test"}
		if declared, ok := p.Connections[name]; ok {
			c.App, c.Setup = vault.App(declared.App), declared.setup()
		}
		kind := kindOf(c, given[name])
		for _, field := range vault.Fields(c.App) {
			value, ok := given[name][field.Name]
			switch {
			case ok && field.Secret:
				c.Secrets[field.Name] = vault.NewSecret(value)
			case ok:
				c.Setup[field.Name] = value
			case field.Secret && (field.For == "" || field.For == kind):
				c.Secrets[field.Name] = vault.NewSecret(token)
			}
		}
		for key := range given[name] {
			if !slices.ContainsFunc(vault.Fields(c.App), func(f vault.Field) bool { return f.Name == key }) {
				return nil, UserError("", "connection %s: an app %s connection has no field %q", name, c.App, key)
			}
		}
		out[name] = c
	}
	return out, nil
}

// kindOf returns the type of a connection: its own, else the one that its plain fields belong to,
// else the first of its app.
func kindOf(c vault.Connection, given map[string]string) string {
	if kind := c.Setup["type"]; kind != "" {
		return kind
	}
	if kind := given["type"]; kind != "" {
		return kind
	}
	first := ""
	for _, f := range vault.Fields(c.App) {
		_, ok := given[f.Name]
		if f.For != "" && (ok || c.Setup[f.Name] != "") {
			return f.For
		}
		if first == "" && f.Secret {
			first = f.For
		}
	}
	return first
}

// OnlyConnection returns the project's WhatsApp connection, "" unless there is exactly one.
func (p *Project) OnlyConnection() string {
	if names := p.whatsapp(); len(names) == 1 {
		return names[0]
	}
	return ""
}
