package local

import (
	"fmt"
	"sync"

	"facteur/flow/call"
	"facteur/flow/journal"
	"facteur/flow/machine"
	"facteur/flow/plan"
)

// maxPlans is how many plans of stored runs a host keeps compiled.
const maxPlans = 256

// A planned is a plan, and what the host knows of it.
type planned struct {
	*plan.Plan
	given   *plan.Plan // what a run was started with, nil for one that is restored
	restore sync.Once
	err     error
	walk    sync.Once
	actions map[string]*call.Signature
}

// plans are those that runs were started with or rebuilt from lately, by digest. The
// host's lock guards it.
type plans map[string]*planned

// keepPlan remembers a plan, so that it need not be compiled again.
func (h *Host) keepPlan(p *plan.Plan) *planned {
	h.mu.Lock()
	defer h.mu.Unlock()
	if known := h.plans[p.Digest]; known != nil && known.given == p {
		return known
	}
	out := &planned{Plan: p, given: p}
	out.restore.Do(func() {})
	h.plans.put(p.Digest, out)
	return out
}

func (p *plans) put(digest string, one *planned) {
	if *p == nil {
		*p = plans{}
	}
	for other := range *p {
		if len(*p) < maxPlans {
			break
		}
		delete(*p, other) // any one
	}
	(*p)[digest] = one
}

// plan returns the plan of a stored run.
func (h *Host) plan(head journal.Run) (*planned, error) {
	h.mu.Lock()
	p := h.plans[head.Digest]
	if p == nil {
		p = &planned{}
		h.plans.put(head.Digest, p)
	}
	h.mu.Unlock()
	p.restore.Do(func() {
		if h.opts.Restore == nil {
			p.err = &machine.MismatchError{Reason: "this host cannot compile the flows of stored runs"}
		} else if p.Plan, p.err = h.opts.Restore(head.Flow, head.Sources); p.err != nil {
			p.err = &machine.MismatchError{Reason: fmt.Sprintf("its flow no longer compiles: %v", p.err)}
		}
	})
	if p.err != nil {
		h.mu.Lock()
		delete(h.plans, head.Digest) // it may compile next time
		h.mu.Unlock()
		return nil, p.err
	}
	return p, nil
}

// recipient returns who a call writes to, as it is stored, "" when nobody.
func (h *Host) recipient(p *planned, c *call.Call) string {
	if p == nil {
		return ""
	}
	p.walk.Do(func() {
		p.actions = p.Plan.Signatures()
	})
	sig := p.actions[c.Action]
	if sig == nil || sig.Recipient == nil {
		return ""
	}
	to := sig.Recipient(c.Input)
	if to == "" {
		return ""
	}
	return h.hash(to)
}
