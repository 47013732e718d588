// Package ledgertest is what a ledger must do, as tests. Every implementation of
// ledger.Ledger runs Exercise and ExampleWebhooks; those that keep it beyond the process also run
// Reopen, Killed and HoldsOld, those that several processes may have open also Share.
package ledgertest

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"facteur/actions/whatsapp"
	"facteur/actions/whatsapp/ledger"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Exercise tests ledgers. Each call of open returns an empty one with the clock now.
func Exercise(t *testing.T, open func(t *testing.T, now func() time.Time) ledger.Ledger) {
	tests := []struct {
		name string
		test func(*testing.T, ledger.Ledger, *Clock)
	}{
		{"what comes twice is told once", twice},
		{"what comes twice at the same time is told once", twiceAtOnce},
		{"what is known is told again, marked", knownAgain},
		{"states never go backwards, in any order", anyOrder},
		{"statuses are kept whole", allOrNothing},
		{"receipts of a call", receipts},
		{"receipts of an earlier call with its key", earlierReceipts},
		{"only the answer is known", answerAlone},
		{"a status before its answer", overtaken},
		{"windows", windows},
		{"windows that Meta says are shut", shutWindows},
		{"marketing", marketing},
		{"contacts", contacts},
		{"contacts that turn out to be one", mergedContacts},
		{"a number that is given up", changedNumber},
		{"messages since a time", messagesSince},
		{"once", once},
		{"once, after what nobody knows", onceUnsettled},
		{"once, after what turns out to be sent", onceFreed},
		{"once, after a later attempt", oncePassedOn},
		{"once, by a call that is made again", onceAgain},
		{"once, by one of many", onceByMany},
		{"once, for one person with two ids", onceJoined},
		{"once, for one person whose other id the answer says", onceAnswered},
		{"once, for one person, after what turns out to be sent", onceFreedJoined},
		{"pruning", pruning},
		{"many at the same time", manyAtOnce},
		{"an ended context stores nothing", endedContext},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			clock := NewClock()
			l := open(t, clock.Now)
			t.Cleanup(func() { assert.NoError(t, l.Close()) })
			tt.test(t, l, clock)
		})
	}
}

// Reopen tests ledgers that outlive the process. open opens the ledger in a folder, which
// is empty at first.
func Reopen(t *testing.T, open func(t *testing.T, dir string, now func() time.Time) ledger.Ledger) {
	dir, clock := t.TempDir(), NewClock()
	l := open(t, dir, clock.Now)
	apply(t, l, Status("wamid.1", "sent", "f1.a.1"), Message("wamid.in", "oui"), Preference("stop", clock.Now()))
	require.Empty(t, claim(t, l, "f1.a.2", "k"))
	recordAnswer(t, l, Accepted("f1.a.3", "wamid.3"))
	require.NoError(t, l.Close())

	l = open(t, dir, clock.Now)
	require.Empty(t, apply(t, l, Status("wamid.1", "sent", "f1.a.1")), "it is known")
	require.Len(t, receiptsOf(t, l, "f1.a.1"), 1)
	require.Equal(t, whatsapp.WindowOpen, window(t, l).State)
	require.True(t, optedOut(t, l))
	require.Error(t, claimError(t, l, "f1.b.1", "k"))
	m, ok, err := l.Message(t.Context(), "wamid.3")
	require.NoError(t, err)
	require.True(t, ok, "what was told was stored by the end")
	require.Equal(t, "f1.a.3", m.Call)
	require.NoError(t, l.Close())
}

// Share tests ledgers that several processes may have open: each call of open opens the
// same one.
func Share(t *testing.T, open func(t *testing.T, now func() time.Time) ledger.Ledger) {
	clock := NewClock()
	all := make([]ledger.Ledger, 4)
	var opening sync.WaitGroup
	for i := range all {
		opening.Go(func() { all[i] = open(t, clock.Now) })
	}
	opening.Wait()
	taken := make([]int, 50) // by key
	var mu sync.Mutex
	var work sync.WaitGroup
	for i, l := range all {
		work.Go(func() {
			for n := range taken {
				c := Claim(fmt.Sprintf("f1.%d.%d", i, n), fmt.Sprint(n))
				if _, err := l.Claim(t.Context(), c); err == nil {
					mu.Lock()
					taken[n]++
					mu.Unlock()
				} else {
					var unsettled *whatsapp.UnsettledError
					assert.ErrorAs(t, err, &unsettled)
				}
				_, err := l.Apply(t.Context(), Status(fmt.Sprintf("wamid.%d.%d", i, n), "sent", ""))
				assert.NoError(t, err)
			}
		})
	}
	work.Wait()
	for n, times := range taken {
		require.Equal(t, 1, times, "key %d", n)
	}
	for i := range all {
		for n := range taken {
			_, ok, err := all[0].Message(t.Context(), fmt.Sprintf("wamid.%d.%d", i, n))
			require.NoError(t, err)
			require.True(t, ok)
		}
	}
	for _, l := range all {
		require.NoError(t, l.Close())
	}
}

func pruning(t *testing.T, l ledger.Ledger, clock *Clock) {
	for i := range 30 {
		id := fmt.Sprint("wamid.", i)
		apply(t, l, Status(id, "sent", fmt.Sprint("f1.a.", i)))
		require.Empty(t, claim(t, l, fmt.Sprint("f1.b.", i), id))
	}
	apply(t, l, Message("wamid.in", "oui"), Preference("stop", Start()))
	held := Claim("f1.held.1", "held")
	held.Within = 30 * 24 * time.Hour
	must(l.Claim(t.Context(), held))(t)
	recordAnswer(t, l, Accepted("f1.held.1", "wamid.held"))
	clock.Advance(10 * 24 * time.Hour)
	apply(t, l, Status("wamid.young", "sent", "f1.young.1"))

	prune := func(before time.Time) (total int) {
		for rounds := 0; ; rounds++ {
			require.Less(t, rounds, 100)
			n := must(l.Prune(t.Context(), before, 10))(t)
			require.LessOrEqual(t, n, 30, "so many of each at most")
			if n == 0 {
				return total
			}
			total += n
		}
	}
	require.Zero(t, prune(Start().Add(-time.Second)))
	require.Equal(t, 30+32+30, prune(Start().Add(8*24*time.Hour)), "claims, events, messages")
	require.Empty(t, receiptsOf(t, l, "f1.a.1"))
	requireNoMessage(t, l, "wamid.1")
	require.Len(t, receiptsOf(t, l, "f1.young.1"), 1)
	require.True(t, optedOut(t, l), "that stays")
	require.Equal(t, Start(), window(t, l).Wrote)
	held.Call, held.Step = "f1.late.1", ""
	require.Equal(t, "wamid.held", must(l.Claim(t.Context(), held))(t), "for as long as it counts")
	require.Len(t, apply(t, l, Status("wamid.1", "sent", "f1.a.1")), 1, "it is new again")
}

func manyAtOnce(t *testing.T, l ledger.Ledger, _ *Clock) {
	var all sync.WaitGroup
	for caller := range 16 {
		all.Go(func() {
			for n := range 20 {
				call, id := fmt.Sprintf("f1.%d.%d", caller, n), fmt.Sprintf("wamid.%d.%d", caller, n)
				_, err := l.Claim(t.Context(), Claim(call, id))
				assert.NoError(t, err)
				_, err = l.RecordAnswer(t.Context(), Accepted(call, id))
				assert.NoError(t, err)
				_, err = l.Apply(t.Context(), Status(id, "delivered", call), Status(id, "sent", call), Message(id, "oui"))
				assert.NoError(t, err)
				m, ok, err := l.Message(t.Context(), id)
				assert.NoError(t, err)
				assert.True(t, ok)
				assert.EqualValues(t, "delivered", m.State)
				found, err := l.Receipts(t.Context(), time.Time{}, call)
				assert.NoError(t, err)
				assert.Len(t, found, 2)
			}
		})
	}
	all.Wait()
	require.Len(t, must(l.Inbound(t.Context(), Sender, Person, Start()))(t), 16*20)
}

func endedContext(t *testing.T, l ledger.Ledger, _ *Clock) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := l.Apply(ctx, Status("wamid.1", "sent", ""))
	require.ErrorIs(t, err, context.Canceled)
	_, err = l.Claim(ctx, Claim("f1.a.1", "k"))
	require.ErrorIs(t, err, context.Canceled)
	requireNoMessage(t, l, "wamid.1")
	require.Empty(t, claim(t, l, "f1.b.1", "k"))
}
