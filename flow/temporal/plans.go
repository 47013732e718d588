package temporal

import (
	"crypto/sha256"
	"encoding/base32"
	"fmt"
	"sync"

	"facteur/flow/call"
	"facteur/flow/plan"
)

// maxPlans is how many plans of runs a host keeps compiled.
const maxPlans = 256

// A planned is a plan, and what the host knows of it.
type planned struct {
	*plan.Plan
	restore sync.Once
	err     error
	actions map[string]*call.Signature
}

// plans are those of the runs that this process carried lately, by digest.
type plans struct {
	mu    sync.Mutex
	known map[string]*planned
}

// keep remembers a plan, so that it need not be compiled again.
func (ps *plans) keep(p *plan.Plan) *planned {
	one := ps.at(p.Digest)
	one.restore.Do(func() { one.set(p) })
	if one.err != nil { // it did not compile before, and has by now
		ps.forget(p.Digest)
		return ps.keep(p)
	}
	return one
}

func (ps *plans) at(digest string) *planned {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	if one := ps.known[digest]; one != nil {
		return one
	}
	if ps.known == nil {
		ps.known = map[string]*planned{}
	}
	for other := range ps.known {
		if len(ps.known) < maxPlans {
			break
		}
		delete(ps.known, other) // any one
	}
	one := &planned{}
	ps.known[digest] = one
	return one
}

func (ps *plans) forget(digest string) {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	delete(ps.known, digest)
}

func (p *planned) set(compiled *plan.Plan) {
	p.Plan, p.actions = compiled, compiled.Signatures()
}

// plan returns the plan of a run.
func (h *Host) plan(in *input) (*planned, error) {
	one := h.plans.at(in.Digest)
	one.restore.Do(func() {
		p, err := h.opts.Restore(in.Flow, in.Sources)
		switch {
		case err != nil:
			one.err = fmt.Errorf("its flow no longer compiles: %w", err)
		case p.Digest != in.Digest:
			one.err = fmt.Errorf("its flow has changed since the run started")
		default:
			one.set(p)
		}
	})
	if one.err != nil {
		h.plans.forget(in.Digest) // it may compile next time
		return nil, one.err
	}
	return one, nil
}

// mark is a contact as lists know it: short, because the server bounds the size of a list.
func (h *Host) mark(contact string) string {
	sum := sha256.Sum256([]byte(h.hash(contact)))
	return base32.StdEncoding.EncodeToString(sum[:8])[:13]
}

// recipient returns the mark of who a call writes to, "" when nobody.
func (h *Host) recipient(p *planned, c *call.Call) string {
	sig := p.actions[c.Action]
	if sig == nil || sig.Recipient == nil {
		return ""
	}
	to := sig.Recipient(c.Input)
	if to == "" {
		return ""
	}
	return h.mark(to)
}
