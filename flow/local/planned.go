package local

import (
	"fmt"

	"facteur/flow/call"
	"facteur/flow/host"
	"facteur/flow/journal"
	"facteur/flow/machine"
	"facteur/flow/plan"
)

// plan returns the plan of a stored run.
func (h *Host) plan(head journal.Run) (*host.CachedPlan, error) {
	return h.plans.Get(head.Digest, func() (*plan.Plan, error) {
		if h.opts.Restore == nil {
			return nil, &machine.MismatchError{Reason: "this host cannot compile the flows of stored runs"}
		}
		p, err := h.opts.Restore(head.Flow, head.Sources)
		if err != nil {
			return nil, &machine.MismatchError{Reason: fmt.Sprintf("its flow no longer compiles: %v", err)}
		}
		return p, nil
	})
}

// recipient returns the hash of whom a call writes to, "" for nobody.
func (h *Host) recipient(p *host.CachedPlan, c *call.Call) string {
	if p == nil {
		return ""
	}
	to := p.Recipient(c)
	if to == "" {
		return ""
	}
	return h.hash(to)
}
