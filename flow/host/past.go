package host

import (
	"context"
	"fmt"
	"slices"
	"time"

	"facteur/flow/call"
	"facteur/flow/machine"
)

// Past returns the receipts of calls that came so far, whether their runs were told of them or
// not. What was heard of before since already, such as a message that was delivered then, is
// left out with all that came of it later: it is of an earlier call with the key. nil: none are
// known.
type Past func(ctx context.Context, since time.Time, keys ...string) ([]call.Receipt, error)

// wrongClock is by how much the clock may have been put back while a run went on.
const wrongClock = 24 * time.Hour

// Of returns the receipts of calls that came so far. They are of a run that started then: a start
// with the Idempotency-Key of a run that is forgotten has its id, and its calls have their keys.
// The zero time: they may be older than the run.
func (p Past) Of(ctx context.Context, started time.Time, keys ...string) (came []call.Receipt, err error) {
	if p == nil || len(keys) == 0 {
		return nil, nil
	}
	since := started
	if !since.IsZero() {
		since = since.Add(-wrongClock)
	}
	if came, err = p(ctx, since, keys...); err != nil {
		return nil, fmt.Errorf("read the receipts of the run: %w", err)
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
// may make again: the run was not told, because it waited for none. See Of.
func (p Past) Overdue(ctx context.Context, started time.Time, m *machine.Machine, at time.Time) (news []machine.Event, err error) {
	var keys []string
	for _, s := range m.Steps() {
		if s.Status != machine.Succeeded {
			keys = append(keys, s.Keys...)
		}
	}
	came, err := p.Of(ctx, started, keys...)
	for _, r := range came {
		news = append(news, machine.Received{At: at, Receipt: r})
	}
	return news, err
}
