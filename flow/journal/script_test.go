package journal_test

import (
	"context"
	"crypto/sha256"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"facteur/flow/journal"
	"facteur/flow/journal/journaltest"

	"github.com/stretchr/testify/require"
)

// A step of a script does one thing to a journal.
type step struct {
	durable bool // once it returns
	do      func(ctx context.Context, j journal.Journal) error
}

// script returns what happens to the run of an id, always the same: it is created and
// written, waits, is woken by events and otherwise, and ends.
func script(id string) (steps []step) {
	random := rand.New(rand.NewChaCha8(sha256.Sum256([]byte(id))))
	records, event := 0, ""
	change := func() (c journal.Change) {
		for range random.IntN(3) {
			c.Records = append(c.Records, journaltest.Record(records))
			records++
		}
		switch random.IntN(4) {
		case 0:
			waits := journaltest.Waits(id)
			c.Status, c.Waits = "waiting", &waits
		case 1:
			c.Status = "running"
		}
		switch key := fmt.Sprint(random.IntN(4)); random.IntN(4) {
		case 0:
			c.Unknown = []string{key}
		case 1:
			c.Settled = []string{key}
		}
		if random.IntN(5) == 0 {
			c.Recipients = []string{id}
		}
		if random.IntN(3) == 0 && event != "" {
			c.Consumed = []string{event}
		}
		return c
	}
	write := func(durable bool, c journal.Change) {
		steps = append(steps, step{durable, func(ctx context.Context, j journal.Journal) error { return j.Write(ctx, id, durable, c) }})
	}

	first := change()
	steps = append(steps, step{true, func(ctx context.Context, j journal.Journal) error { return j.Create(ctx, journaltest.Run(id), first) }})
	for n := range random.IntN(20) {
		durable := random.IntN(3) == 0
		switch random.IntN(8) {
		case 0, 1:
			e := journaltest.Event(fmt.Sprintf("%s.%d", id, n))
			e.Subjects = []string{id}
			event = e.ID
			steps = append(steps, step{true, func(ctx context.Context, j journal.Journal) error {
				_, err := j.Deliver(ctx, []journal.Event{e}, []string{id})
				return err
			}})
		case 2:
			steps = append(steps, step{durable, func(ctx context.Context, j journal.Journal) error { return j.Wake(ctx, durable, id) }})
		case 3:
			done := event
			steps = append(steps, step{false, func(ctx context.Context, j journal.Journal) error { return j.MarkDone(ctx, done) }})
		default:
			write(durable, change())
		}
	}
	if random.IntN(4) > 0 {
		c := change()
		c.Status, c.Ended = "succeeded", journaltest.Record(records).At
		write(true, c)
		write(false, journal.Change{Records: journaltest.Records(records).Records}) // a late receipt
	}
	return steps
}

// state tells all that a journal holds of the run of a script.
func state(t *testing.T, j readable, id string, waits map[string]journal.Waits) string {
	ctx := t.Context()
	head, records, err := j.Load(ctx, id)
	require.NoError(t, err)
	events, err := j.Events(ctx, journaltest.Event("").Name, id, "", journaltest.Event("").At)
	require.NoError(t, err)
	listed, err := j.List(ctx, journal.Filter{Recipient: id})
	require.NoError(t, err)
	var b strings.Builder
	fmt.Fprintln(&b, head.Status, head.Ended.UnixNano(), head.Unknown, len(listed), waits[id])
	for _, r := range records {
		fmt.Fprintln(&b, r.At.UnixNano(), r.Kind, string(r.Body))
	}
	for _, e := range events {
		fmt.Fprintln(&b, e.ID, e.Claimed, e.Done, string(e.Body))
	}
	return b.String()
}

// scriptSteps tells how many steps of its script a run has behind it that is in a state, at
// most, or -1 if no script leads there.
func scriptSteps(t *testing.T, id, want string) int {
	m, last := new(journal.Memory), -1
	for n, s := range script(id) {
		require.NoError(t, s.do(t.Context(), m))
		if state(t, m, id, openRuns(t, m)) == want {
			last = n + 1
		}
	}
	return last
}

// openRuns returns what the runs wait for that have not ended.
func openRuns(t *testing.T, j readable) map[string]journal.Waits {
	waits := map[string]journal.Waits{}
	require.NoError(t, j.Unfinished(t.Context(), func(run journal.Run, w journal.Waits) error {
		waits[run.ID] = w
		return nil
	}))
	return waits
}
