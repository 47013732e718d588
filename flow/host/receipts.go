package host

import (
	"context"
	"fmt"
	"slices"
	"time"

	"facteur/flow/call"
	"facteur/flow/machine"
)

// PastReceipts returns the receipts of calls that have come so far, whether or not their runs have
// them. A message that was heard of before since is left out with all its receipts: it is of an
// earlier call with the same key. nil: none are known.
type PastReceipts func(ctx context.Context, since time.Time, keys ...string) ([]call.Receipt, error)

// clockSkew is by how much the clock may have been put back while a run went on.
const clockSkew = 24 * time.Hour

// Read returns the receipts of calls that have come since their run started. Earlier ones may be
// of another run: one that is started with the idempotency key of a pruned run has the same id,
// and its calls the same keys. With the zero time none are left out.
func (p PastReceipts) Read(ctx context.Context, started time.Time, keys ...string) (receipts []call.Receipt, err error) {
	if p == nil || len(keys) == 0 {
		return nil, nil
	}
	since := started
	if !since.IsZero() {
		since = since.Add(-clockSkew)
	}
	if receipts, err = p(ctx, since, keys...); err != nil {
		return nil, fmt.Errorf("read the receipts of the run: %w", err)
	}
	return receipts, nil
}

// OpenCalls returns the keys of the calls whose receipts still matter to a run: those of running
// steps, and those of unknown outcome.
func OpenCalls(m *machine.Machine) (keys []string) {
	if m.Result() == nil {
		for _, s := range m.Steps() {
			if s.Status == machine.Running {
				keys = append(keys, s.Keys...)
			}
		}
	}
	for _, key := range m.Unknown() {
		if !slices.Contains(keys, key) {
			keys = append(keys, key)
		}
	}
	return keys
}

// ReadUnapplied returns, as events of time at, the receipts of the calls that a retry of an ended run
// may make again: the run does not have them, because it waited for none. See Read.
func (p PastReceipts) ReadUnapplied(ctx context.Context, started time.Time, m *machine.Machine, at time.Time) (missed []machine.Event, err error) {
	var keys []string
	for _, s := range m.Steps() {
		if s.Status != machine.Succeeded {
			keys = append(keys, s.Keys...)
		}
	}
	receipts, err := p.Read(ctx, started, keys...)
	for _, r := range receipts {
		missed = append(missed, machine.Received{At: at, Receipt: r})
	}
	return missed, err
}
