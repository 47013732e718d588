package temporal

import (
	"crypto/sha256"
	"encoding/base32"
	"errors"
	"fmt"

	"facteur/flow/call"
	"facteur/flow/host"
	"facteur/flow/plan"
)

// plan returns the plan of a run.
func (h *Host) plan(in *input) (*host.CachedPlan, error) {
	return h.plans.Get(in.Digest, func() (*plan.Plan, error) {
		p, err := h.opts.Restore(in.Flow, in.Sources)
		switch {
		case err != nil:
			return nil, fmt.Errorf("its flow no longer compiles: %w", err)
		case p.Digest != in.Digest:
			return nil, errors.New("its flow has changed since the run started")
		}
		return p, nil
	})
}

// mark is a contact as lists know it: short, because the server bounds the size of a list.
func (h *Host) mark(contact string) string {
	sum := sha256.Sum256([]byte(h.hash(contact)))
	return base32.StdEncoding.EncodeToString(sum[:8])[:13]
}

// recipient returns the mark of who a call writes to, "" when nobody.
func (h *Host) recipient(p *host.CachedPlan, c *call.Call) string {
	to := p.Recipient(c)
	if to == "" {
		return ""
	}
	return h.mark(to)
}
