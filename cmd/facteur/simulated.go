package main

import (
	"fmt"
	"io"
	"time"

	"facteur/cmd/facteur/bubble"
	"facteur/cmd/facteur/simulation"
	"facteur/flow/host"
	"facteur/flow/plan"
	"facteur/project"
	"facteur/vault"
)

// simulate replaces the Cloud API by a simulator, and the system's clock by a virtual one. It
// returns the connections to the simulator.
func (w *environment) simulate(p *project.Project, sends *plan.Plan) (map[string]vault.Connection, error) {
	fixed, err := p.TestConnections(sends, project.SenderConnections(sends), nil, project.TestToken)
	if err != nil {
		return nil, err
	}
	templates, err := p.ReadTemplates()
	if err != nil {
		return nil, err
	}
	clock := host.NewVirtual(time.Now())
	w.clock, w.virtual = clock, true
	w.simulation, err = simulation.New(simulation.Options{Clock: clock, Templates: templates, Connections: fixed, Sends: sends})
	if err != nil {
		return nil, err
	}
	w.closers = append(w.closers, func() { _ = w.simulation.Close() })
	return fixed, nil
}

// maxDrawn bounds the messages that are drawn; there may be thousands.
const maxDrawn = 10

// drawMessages draws the messages of a simulated run.
func drawMessages(w io.Writer, on bubble.Sketch, all []simulation.Message) {
	for i, m := range all {
		if i == maxDrawn {
			fmt.Fprintf(w, "  … and %s more; --json prints all\n\n", count(len(all)-i, "message"))
			return
		}
		var status int64
		if m.StatusCode != nil {
			status = *m.StatusCode
		}
		on.Draw(w, m.Message, status)
		fmt.Fprintln(w)
	}
}
