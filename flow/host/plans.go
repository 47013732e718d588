package host

import (
	"sync"

	"facteur/flow/call"
	"facteur/flow/plan"
)

// mostPlans is how many plans a host keeps compiled.
const mostPlans = 256

// Plans are those that runs of a host were started with or rebuilt from lately. The zero
// value is ready to use, also by many at a time.
type Plans struct {
	mu    sync.Mutex
	known map[string]*Planned // by digest
}

// A Planned is a plan of runs.
type Planned struct {
	*plan.Plan
	given   *plan.Plan // to Keep; nil for one that is restored
	restore sync.Once
	err     error
	walk    sync.Once
	actions map[string]*call.Signature
}

// Keep remembers a plan, so that it need not be compiled again. It waits for no plan that is
// being restored.
func (ps *Plans) Keep(p *plan.Plan) *Planned {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	if known := ps.known[p.Digest]; known != nil && known.given == p {
		return known
	}
	one := &Planned{Plan: p, given: p}
	one.restore.Do(func() {})
	ps.put(p.Digest, one)
	return one
}

func (ps *Plans) put(digest string, one *Planned) {
	if ps.known == nil {
		ps.known = map[string]*Planned{}
	}
	for other := range ps.known {
		if len(ps.known) < mostPlans {
			break
		}
		delete(ps.known, other) // any one
	}
	ps.known[digest] = one
}

// Get returns the plan with a digest. One that is not there is restored, once for all who ask
// meanwhile; after an error the next who asks tries again.
func (ps *Plans) Get(digest string, restore func() (*plan.Plan, error)) (*Planned, error) {
	ps.mu.Lock()
	one := ps.known[digest]
	if one == nil {
		one = &Planned{}
		ps.put(digest, one)
	}
	ps.mu.Unlock()
	one.restore.Do(func() { one.Plan, one.err = restore() })
	if one.err != nil {
		ps.mu.Lock()
		if ps.known[digest] == one {
			delete(ps.known, digest) // it may compile next time
		}
		ps.mu.Unlock()
		return nil, one.err
	}
	return one, nil
}

// Recipient returns who a call of the plan writes to, "" when nobody.
func (p *Planned) Recipient(c *call.Call) string {
	p.walk.Do(func() { p.actions = p.Signatures() })
	sig := p.actions[c.Action]
	if sig == nil || sig.Recipient == nil {
		return ""
	}
	return sig.Recipient(c.Input)
}
