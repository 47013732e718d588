package main

import (
	"context"
	"net/http"

	"facteur/cmd/facteur/simulation"
	"facteur/flow/call"
	"facteur/flow/plan"
	"facteur/flow/suite"
	"facteur/project"
)

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
	return s.Does(onlyMessages(set.Do)), end, nil
}

// onlyMessages refuses what there is no simulator of.
func onlyMessages(do call.Do) call.Do {
	return func(ctx context.Context, c call.Call) call.Outcome {
		if c.Action == "http.request" {
			return call.Outcome{Status: call.Failed, Error: &call.Error{
				Code: "not_simulated", Class: "recording", Message: "there is no simulator of what http.request asks for: give the case exchanges",
			}}
		}
		return do(ctx, c)
	}
}
