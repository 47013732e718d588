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

// contactHash returns a contact as recipientKey has it: short, as the server bounds the size
// of a keyword list.
func (h *Host) contactHash(contact string) string {
	sum := sha256.Sum256([]byte(h.hash(contact)))
	return base32.StdEncoding.EncodeToString(sum[:8])[:13]
}

// recipient returns the contactHash of a call's recipient, "" if it has none.
func (h *Host) recipient(p *host.CachedPlan, c *call.Call) string {
	to := p.Recipient(c)
	if to == "" {
		return ""
	}
	return h.contactHash(to)
}
