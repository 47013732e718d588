// Package testbed is the environment of a project's flow tests: connections with test tokens, the
// exchanges that a case expects, a simulator, or, for recording, the real API.
package testbed

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"facteur/actions"
	"facteur/actions/whatsapp"
	"facteur/actions/whatsapp/ledger"
	"facteur/cmd/facteur/simulation"
	"facteur/flow/call"
	"facteur/flow/plan"
	"facteur/flow/suite"
	"facteur/project"
	"facteur/vault"
)

// A Project is a project without mistakes in its file, with the compiler of its flows.
type Project struct {
	*project.Project
	Compiler *plan.Compiler
	Library  plan.Library
}

// Of returns a project with the compiler of its flows.
func Of(p *project.Project) (*Project, error) {
	lib, err := p.Library()
	if err != nil {
		return nil, err
	}
	return &Project{p, plan.NewCompiler(lib), lib}, nil
}

// Options wires the cases of a file to the actions. With simulate, cases without exchanges for
// messages run against a simulator. With record, the exchanges are kept: the simulator's, or
// without simulate those with the real API.
func (p *Project) Options(tested *plan.Plan, simulate, record bool) (suite.Options, error) {
	o := suite.Options{
		Do:        func(w suite.Environment) (call.Do, error) { return p.Do(tested, w) },
		Simulates: func(action string) bool { return action != unsimulated },
	}
	switch {
	case simulate:
		o.Simulate = func(w suite.Environment) (call.Do, func(), error) { return p.simulate(tested, w) }
		o.WriteExchanges = record
	case record:
		return o, p.record(&o)
	}
	return o, nil
}

// Do makes the calls of one case: its connections have test tokens, and its requests go to the
// case's RoundTripper.
func (p *Project) Do(tested *plan.Plan, w suite.Environment) (call.Do, error) {
	fixed, err := p.connections(tested, w)
	if err != nil {
		return nil, err
	}
	v, err := p.OpenVault(fixed)
	if err != nil {
		return nil, err
	}
	set, err := project.NewCatalog(v, w.RoundTripper, p.Policy(), p.known(w))
	if err != nil {
		return nil, err
	}
	return set.Do, nil
}

// connections makes the connections of one case, with test tokens.
func (p *Project) connections(tested *plan.Plan, w suite.Environment) (map[string]vault.Connection, error) {
	given := map[string]map[string]string{}
	names := append(slices.Sorted(maps.Keys(p.Connections)), tested.Connections...)
	for name, fields := range w.Connections {
		given[name] = map[string]string{}
		for key, value := range fields {
			given[name][key] = fmt.Sprint(value)
		}
		names = append(names, name)
	}
	return p.TestConnections(tested, names, given, project.TestToken)
}

// Undeclared returns the fields that the connections of a flow need in a test and that the project
// file does not have.
func (p *Project) Undeclared(tested *plan.Plan) map[string]map[string]any {
	out := map[string]map[string]any{}
	for _, name := range tested.Connections {
		declared := p.Connections[name]
		app := vault.App(cmp.Or(declared.App, project.AppUsed(tested, name)))
		switch {
		case app == vault.WhatsApp && declared.SenderPhoneID == "":
			out[name] = map[string]any{"sender_phone_id": "100000000000001"}
		case app == vault.HTTP && declared.BaseURL == "":
			out[name] = map[string]any{"base_url": "https://" + strings.ReplaceAll(name, "_", "-") + ".test"}
		}
	}
	return out
}

// known returns the options of the actions for a case: a ledger in memory, and the case's windows.
func (p *Project) known(w suite.Environment) whatsapp.Options {
	o := ledger.Wire(&ledger.Memory{Options: ledger.Options{Now: w.Now}}, whatsapp.Options{}, nil)
	o.Window = p.window(w)
	return o
}

// window looks up 24-hour windows as the case sets them and its events open them. nil: the case
// sets none.
func (p *Project) window(w suite.Environment) func(context.Context, string, string) whatsapp.Window {
	if len(w.Window) == 0 {
		return nil
	}
	windows := map[string]whatsapp.Window{}
	for contact, state := range w.Window {
		if subject, err := p.Library.Catalog.Event("whatsapp.message").Subject(contact); err == nil {
			windows[subject] = whatsapp.Window(state)
		}
	}
	return func(_ context.Context, _, recipient string) whatsapp.Window {
		for _, e := range w.Events() {
			sent, _ := e.Data["timestamp"].(time.Time)
			if e.Name == "whatsapp.message" && slices.Contains(e.Subjects, recipient) && w.Now().Sub(sent) < 24*time.Hour {
				return whatsapp.WindowOpen
			}
		}
		return windows[recipient]
	}
}

// caseSeed makes the simulator's ids the same each time that a case is run.
const caseSeed = 1

// simulate makes the calls of one case with a simulator, without a network.
func (p *Project) simulate(tested *plan.Plan, w suite.Environment) (do call.Do, end func(), err error) {
	fixed, err := p.connections(tested, w)
	if err != nil {
		return nil, nil, err
	}
	v, err := p.OpenVault(fixed)
	if err != nil {
		return nil, nil, err
	}
	templates, err := p.ReadTemplates()
	if err != nil {
		return nil, nil, err
	}
	s, err := simulation.New(simulation.Options{Clock: w.Simulation.Clock, Templates: templates, Connections: fixed, Sends: tested, Seed: caseSeed})
	if err != nil {
		return nil, nil, err
	}
	s.Host = w.Simulation
	end = func() { _ = s.Close() }
	if do, err = p.simulatedCalls(s, v, w); err != nil {
		end()
		return nil, nil, err
	}
	return s.Wrap(do), end, nil
}

// simulatedCalls makes calls with the simulator, and those of http.request with the case's RoundTripper.
func (p *Project) simulatedCalls(s *simulation.Simulation, v *vault.Vault, w suite.Environment) (call.Do, error) {
	known := s.Known
	if window := p.window(w); window != nil {
		known.Window = window
	}
	known.Client = &http.Client{Transport: w.Simulation.Wrap(known.Client.Transport)}
	set, err := project.NewCatalog(v, nil, p.Policy(), known)
	if err != nil || w.RoundTripper == nil {
		return routeUnsimulated(set, nil), err
	}
	others, err := project.NewCatalog(v, w.RoundTripper, p.Policy(), s.Known)
	return routeUnsimulated(set, others), err
}

// unsimulated is the action that has no simulator.
const unsimulated = "http.request"

// routeUnsimulated makes the calls that cannot be simulated with others, or refuses them if it is nil.
func routeUnsimulated(set, others *actions.Set) call.Do {
	return func(ctx context.Context, c call.Call) call.Outcome {
		switch {
		case c.Action == unsimulated && others != nil:
			return others.Do(ctx, c)
		case c.Action == unsimulated:
			return call.Outcome{Status: call.Failed, Error: &call.Error{
				Code: "not_simulated", Class: "recording", Message: "http.request cannot be simulated: give the case exchanges for this step",
			}}
		}
		return set.Do(ctx, c)
	}
}
