package host

import (
	"context"
	"fmt"
	"slices"
	"time"

	"facteur/flow/call"
	"facteur/flow/machine"
)

// Past returns the receipts of a call that came so far, whether its run was told of them or
// not. nil: none are known.
type Past func(ctx context.Context, key string) ([]call.Receipt, error)

// Of returns the receipts of calls that came so far, one call after the other.
func (p Past) Of(ctx context.Context, keys ...string) (came []call.Receipt, err error) {
	if p == nil {
		return nil, nil
	}
	for _, key := range keys {
		receipts, err := p(ctx, key)
		if err != nil {
			return nil, fmt.Errorf("read the receipts of the run: %w", err)
		}
		for _, r := range receipts {
			r.Key = key
			came = append(came, r)
		}
	}
	return came, nil
}

// Open returns the keys of calls of which news matters to a run as it goes on: those of
// steps that go on, and those whose outcome is unknown.
func Open(m *machine.Machine) (keys []string) {
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

// Overdue returns the news, as of a time, of calls of a run that has ended which a retry
// may make again: the run was not told, because it waited for none.
func (p Past) Overdue(ctx context.Context, m *machine.Machine, at time.Time) (news []machine.Event, err error) {
	for _, s := range m.Steps() {
		if s.Status == machine.Succeeded {
			continue
		}
		came, err := p.Of(ctx, s.Keys...)
		if err != nil {
			return nil, err
		}
		for _, r := range came {
			news = append(news, machine.Received{At: at, Receipt: r})
		}
	}
	return news, nil
}
