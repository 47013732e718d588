package host

import (
	"sync"

	"facteur/flow/call"
	"facteur/flow/plan"
)

// maxPlans bounds the plans that are kept.
const maxPlans = 256

// A PlanCache keeps the plans that runs were started with or rebuilt from lately. The zero value is
// ready to use. It is safe for concurrent use.
type PlanCache struct {
	mu       sync.Mutex
	byDigest map[string]*CachedPlan
}

// A CachedPlan is a plan in a PlanCache.
type CachedPlan struct {
	*plan.Plan
	original   *plan.Plan // as given to Put; nil if it was restored
	restore    sync.Once
	err        error
	once       sync.Once
	signatures map[string]*call.Signature
}

// Put caches a plan, so that it need not be compiled again. It never waits for a plan that is being
// restored.
func (ps *PlanCache) Put(p *plan.Plan) *CachedPlan {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	if known := ps.byDigest[p.Digest]; known != nil && known.original == p {
		return known
	}
	cached := &CachedPlan{Plan: p, original: p}
	cached.restore.Do(func() {})
	ps.add(p.Digest, cached)
	return cached
}

func (ps *PlanCache) add(digest string, cached *CachedPlan) {
	if ps.byDigest == nil {
		ps.byDigest = map[string]*CachedPlan{}
	}
	for other := range ps.byDigest {
		if len(ps.byDigest) < maxPlans {
			break
		}
		delete(ps.byDigest, other) // any
	}
	ps.byDigest[digest] = cached
}

// Get returns the plan with a digest. If it is not cached it is restored, once for all concurrent
// callers; an error is not cached.
func (ps *PlanCache) Get(digest string, restore func() (*plan.Plan, error)) (*CachedPlan, error) {
	ps.mu.Lock()
	cached := ps.byDigest[digest]
	if cached == nil {
		cached = &CachedPlan{}
		ps.add(digest, cached)
	}
	ps.mu.Unlock()
	cached.restore.Do(func() { cached.Plan, cached.err = restore() })
	if cached.err != nil {
		ps.mu.Lock()
		if ps.byDigest[digest] == cached {
			delete(ps.byDigest, digest) // it may compile next time
		}
		ps.mu.Unlock()
		return nil, cached.err
	}
	return cached, nil
}

// Recipient returns to whom a call of the plan writes, "" for nobody.
func (p *CachedPlan) Recipient(c *call.Call) string {
	p.once.Do(func() { p.signatures = p.Signatures() })
	sig := p.signatures[c.Action]
	if sig == nil || sig.Recipient == nil {
		return ""
	}
	return sig.Recipient(c.Input)
}
