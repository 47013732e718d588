package main

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"facteur/actions/whatsapp"
	"facteur/cmd/facteur/simulation"
	"facteur/flow/call"
	"facteur/flow/plan"
	"facteur/flow/suite"
	"facteur/project"
	"facteur/vault"
)

// testOptions wires the cases of a file to the actions.
func (p *checkedProject) testOptions(tested *plan.Plan, f testFlags) (suite.Options, error) {
	o := suite.Options{
		Do:        func(w suite.World) (call.Do, error) { return p.testDo(tested, w) },
		Simulates: func(action string) bool { return action != unsimulated },
	}
	if f.run != "" {
		o.Select = func(name string) bool { return strings.Contains(name, f.run) }
	}
	switch {
	case f.simulate:
		o.Simulate = func(w suite.World) (call.Do, func(), error) { return p.simulatedDo(tested, w) }
		o.Keep = f.record
	case f.record:
		return o, p.record(&o)
	}
	return o, nil
}

// testDo makes the calls of one case: its connections have test tokens, and its requests
// go where the case wants them.
func (p *checkedProject) testDo(tested *plan.Plan, w suite.World) (call.Do, error) {
	fixed, err := p.caseConnections(tested, w)
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

// caseConnections makes the connections of one case, with test tokens.
func (p *checkedProject) caseConnections(tested *plan.Plan, w suite.World) (map[string]vault.Connection, error) {
	given := map[string]map[string]string{}
	names := append(sortedNames(p.Connections), tested.Connections...)
	for name, fields := range w.Connections {
		given[name] = map[string]string{}
		for key, value := range fields {
			given[name][key] = fmt.Sprint(value)
		}
		names = append(names, name)
	}
	return p.TestConnections(tested, names, given, testToken)
}

// known answers what actions want to know from what a test case says, and has sent.
func (p *checkedProject) known(w suite.World) whatsapp.Options {
	o := rememberOnly(w.Now)
	o.Window = p.window(w)
	return o
}

// window answers what a test case says about 24-hour windows, and what its events do to
// them. nil: it says nothing.
func (p *checkedProject) window(w suite.World) func(context.Context, string, string) whatsapp.Window {
	if len(w.Window) == 0 {
		return nil
	}
	windows := map[string]whatsapp.Window{}
	for contact, state := range w.Window {
		if subject, err := p.library.Catalog.Event("whatsapp.message").Subject(contact); err == nil {
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

// simulatedDo makes the calls of one case: its messages go to a simulator, and nothing goes
// to the network.
func (p *checkedProject) simulatedDo(tested *plan.Plan, w suite.World) (call.Do, func(), error) {
	fixed, err := p.caseConnections(tested, w)
	if err != nil {
		return nil, nil, err
	}
	templates, err := p.ReadTemplates()
	if err != nil {
		return nil, nil, err
	}
	s, err := simulation.New(simulation.Options{Clock: w.Simulated.Clock, Templates: templates, Connections: fixed, Sends: tested, Seed: caseSeed})
	if err != nil {
		return nil, nil, err
	}
	end := func() { _ = s.Close() }
	s.Host = w.Simulated
	v, err := p.OpenVault(fixed)
	if err != nil {
		end()
		return nil, nil, err
	}
	known := s.Known
	if window := p.window(w); window != nil {
		known.Window = window
	}
	known.Client = &http.Client{Transport: w.Simulated.Through(known.Client.Transport)}
	set, err := project.NewCatalog(v, nil, p.Policy(), known)
	if err != nil {
		end()
		return nil, nil, err
	}
	if w.RoundTripper == nil {
		return s.Does(onlyMessages(set.Do, nil)), end, nil
	}
	others, err := project.NewCatalog(v, w.RoundTripper, p.Policy(), s.Known)
	if err != nil {
		end()
		return nil, nil, err
	}
	return s.Does(onlyMessages(set.Do, others.Do)), end, nil
}

// unsimulated is the action that there is no simulator of.
const unsimulated = "http.request"

// onlyMessages has what there is no simulator of done by others, or refused where that is nil.
func onlyMessages(do, others call.Do) call.Do {
	return func(ctx context.Context, c call.Call) call.Outcome {
		switch {
		case c.Action == unsimulated && others != nil:
			return others(ctx, c)
		case c.Action == unsimulated:
			return call.Outcome{Status: call.Failed, Error: &call.Error{
				Code: "not_simulated", Class: "recording", Message: "there is no simulator of what http.request asks for: give the case exchanges for these steps",
			}}
		}
		return do(ctx, c)
	}
}
