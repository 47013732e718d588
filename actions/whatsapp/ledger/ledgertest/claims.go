package ledgertest

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"facteur/actions/whatsapp/ledger"

	"github.com/stretchr/testify/require"
)

func once(t *testing.T, l ledger.Ledger, clock *Clock) {
	require.Empty(t, claim(t, l, "f1.a.1", "k"))
	require.Empty(t, claim(t, l, "f1.a.1", "k"), "the same call is no repeat")
	recordAnswer(t, l, Accepted("f1.a.1", "wamid.1"))
	require.Equal(t, "wamid.1", claim(t, l, "f1.b.1", "k"))
	require.Empty(t, claim(t, l, "f1.b.1", "another"))
	require.Empty(t, claimFor(t, l, "33600000002", "f1.b.2", "k"), "a key is of one contact")
	c := Claim("f1.b.3", "k")
	c.Sender = "another"
	require.Equal(t, "wamid.1", must(l.Claim(t.Context(), c))(t), "whichever number sends")

	// What was refused was not sent.
	require.Empty(t, claim(t, l, "f1.c.1", "refused"))
	recordAnswer(t, l, Accepted("f1.c.1", ""))
	require.Empty(t, claim(t, l, "f1.c.2", "refused"))
	require.NoError(t, l.Release(t.Context(), "f1.c.2"))
	require.Empty(t, claim(t, l, "f1.c.3", "refused"))

	// What was not delivered was not received.
	recordAnswer(t, l, Accepted("f1.c.3", "wamid.3"))
	require.Equal(t, "wamid.3", claim(t, l, "f1.c.4", "refused"))
	apply(t, l, Status("wamid.3", "failed", ""))
	require.Empty(t, claim(t, l, "f1.c.4", "refused"))

	clock.Advance(time.Hour - time.Nanosecond)
	require.Equal(t, "wamid.1", claim(t, l, "f1.d.1", "k"))
	clock.Advance(time.Nanosecond)
	require.Empty(t, claim(t, l, "f1.d.1", "k"), "its validity period is over")
}

func onceUnsettled(t *testing.T, l ledger.Ledger, _ *Clock) {
	require.Empty(t, claim(t, l, "f1.a.1", "k"))
	require.Equal(t, "f1.a.1", holderOf(t, l, "k"))
	require.Empty(t, claimAgain(t, l, "f1.a.1", "f1.a.2", "k"), "who sends again what nobody knows of means to")
	require.Equal(t, "f1.a.2", holderOf(t, l, "k"))
	apply(t, l, Status("wamid.1", "sent", "f1.a.2"))
	require.Equal(t, "wamid.1", claim(t, l, "f1.b.1", "k"), "a status settles it")
	require.Equal(t, "wamid.1", claimAgain(t, l, "f1.a.1", "f1.a.3", "k"), "what is known to be sent is not sent again")
}

// oncePassedOn tests a key that was passed on to a later attempt of a step while the outcome of the
// earlier one was unknown: that one may have happened whatever the outcome of the later.
func oncePassedOn(t *testing.T, l ledger.Ledger, _ *Clock) {
	for key, ends := range map[string]func(call string){
		"refused":     func(call string) { recordAnswer(t, l, Accepted(call, "")) },
		"given up":    func(call string) { require.NoError(t, l.Release(t.Context(), call)) },
		"undelivered": func(call string) { apply(t, l, Status("wamid."+call, "failed", call)) },
	} {
		first, then := "f1."+key+".1", "f1."+key+".2"
		require.Empty(t, claim(t, l, first, key))
		claimAgain(t, l, first, then, key)
		ends(then)
		require.Equal(t, first, holderOf(t, l, key), key)
		require.NoError(t, l.Release(t.Context(), first))
		require.Empty(t, claim(t, l, "f1.b.1", key), "it did not happen either")
	}
}

// onceAgain tests a call that is repeated because its host died before it was made.
func onceAgain(t *testing.T, l ledger.Ledger, clock *Clock) {
	require.Empty(t, claim(t, l, "f1.a.1", "k"))
	clock.Advance(time.Hour)
	require.Empty(t, claim(t, l, "f1.a.1", "k"))
	clock.Advance(time.Hour - time.Nanosecond)
	require.Error(t, claimError(t, l, "f1.b.1", "k"), "its time counts anew")
	recordAnswer(t, l, Accepted("f1.a.1", "wamid.a"))
	require.Equal(t, "wamid.a", claim(t, l, "f1.a.1", "k"), "its run is older than the ledger: it was sent")

	require.Empty(t, claim(t, l, "f1.c.1", "late"))
	clock.Advance(time.Hour)
	require.Empty(t, claim(t, l, "f1.d.1", "late"))
	require.Error(t, claimError(t, l, "f1.c.1", "late"), "another has its key by now")
}

// onceFreed tests a key that was released because a person said that the call did not happen, when a
// status shows later that it did.
func onceFreed(t *testing.T, l ledger.Ledger, clock *Clock) {
	free := func(call, key string) {
		require.Empty(t, claim(t, l, call, key))
		require.NoError(t, l.Release(t.Context(), call))
	}
	free("f1.a.1", "k")
	apply(t, l, Status("wamid.a", "failed", "f1.a.1"))
	require.Empty(t, claim(t, l, "f1.b.1", "k"), "what was not delivered was not received")
	require.NoError(t, l.Release(t.Context(), "f1.b.1"))

	free("f1.c.1", "updates")
	apply(t, l, Status("wamid.c", "delivered", "f1.c.1"))
	require.Equal(t, "wamid.c", claim(t, l, "f1.d.1", "updates"), "it takes its key back")
	clock.Advance(time.Hour)
	require.Empty(t, claim(t, l, "f1.d.2", "updates"), "and keeps it no longer than it would have")

	free("f1.e.1", "refused")
	require.Empty(t, claim(t, l, "f1.f.1", "refused"))
	recordAnswer(t, l, Accepted("f1.f.1", ""))
	require.Empty(t, apply(t, l, Status("wamid.e", "sent", "f1.e.1"))[0].Duplicate, "who had it then holds nothing")
	require.Equal(t, "wamid.e", claim(t, l, "f1.f.2", "refused"))

	free("f1.g.1", "taken")
	require.Empty(t, claim(t, l, "f1.h.1", "taken"))
	require.Equal(t, "f1.h.1", apply(t, l, Status("wamid.g", "sent", "f1.g.1"))[0].Duplicate, "both may have gone out")
	require.Empty(t, apply(t, l, Status("wamid.g", "read", "f1.g.1"))[0].Duplicate, "that was told")
	require.Equal(t, "wamid.g", claim(t, l, "f1.i.1", "taken"))
	recordAnswer(t, l, Accepted("f1.h.1", "wamid.h"))
	require.NotEmpty(t, claim(t, l, "f1.i.1", "taken"))

	// So it is with one that was refused, whichever came first.
	require.Empty(t, claim(t, l, "f1.l.1", "no refusal"))
	recordAnswer(t, l, Accepted("f1.l.1", ""))
	apply(t, l, Status("wamid.l", "sent", "f1.l.1"))
	require.Equal(t, "wamid.l", claim(t, l, "f1.m.1", "no refusal"))
	require.Empty(t, claim(t, l, "f1.n.1", "none either"))
	apply(t, l, Status("wamid.n", "sent", "f1.n.1"))
	recordAnswer(t, l, Accepted("f1.n.1", ""))
	require.Equal(t, "wamid.n", claim(t, l, "f1.o.1", "none either"))

	// And with one that somebody meant to send again.
	require.Empty(t, claim(t, l, "f1.j.1", "again"))
	claimAgain(t, l, "f1.j.1", "f1.j.2", "again")
	recordAnswer(t, l, Accepted("f1.j.2", ""))
	apply(t, l, Status("wamid.j", "sent", "f1.j.1"))
	require.Equal(t, "wamid.j", claim(t, l, "f1.k.1", "again"))
}

func onceByMany(t *testing.T, l ledger.Ledger, _ *Clock) {
	for n := range 10 { // some keys were given up before
		gone := fmt.Sprint("f1.gone.", n)
		require.Empty(t, claim(t, l, gone, fmt.Sprint(n)))
		require.NoError(t, l.Release(t.Context(), gone))
	}
	var mu sync.Mutex
	won := map[string]int{}
	var all sync.WaitGroup
	for caller := range 16 {
		all.Go(func() {
			for n := range 20 {
				key := fmt.Sprint(n)
				if _, err := l.Claim(t.Context(), Claim(fmt.Sprintf("f1.%d.%d", caller, n), key)); err == nil {
					mu.Lock()
					won[key]++
					mu.Unlock()
				}
			}
		})
	}
	all.Wait()
	require.Len(t, won, 20)
	for key, times := range won {
		require.Equal(t, 1, times, key)
	}
}

func onceJoined(t *testing.T, l ledger.Ledger, _ *Clock) {
	require.Empty(t, claim(t, l, "f1.a.1", "k"))
	recordAnswer(t, l, Accepted("f1.a.1", "wamid.1"))
	claimFor(t, l, "FR.1", "f1.b.1", "other")
	n := Message("wamid.in", "oui")
	n.UserID = "FR.1"
	apply(t, l, n)
	require.Equal(t, "wamid.1", claimFor(t, l, "FR.1", "f1.b.2", "k"))
	require.Equal(t, "f1.b.1", holderOf(t, l, "other"))
}

// onceAnswered tests a contact whose second id only the answer names.
func onceAnswered(t *testing.T, l ledger.Ledger, _ *Clock) {
	require.Empty(t, claim(t, l, "f1.a.1", "k"))
	a := Accepted("f1.a.1", "wamid.1")
	a.UserID = "FR.1"
	recordAnswer(t, l, a)
	require.Equal(t, "wamid.1", claimFor(t, l, "FR.1", "f1.b.1", "k"))
}

// onceFreedJoined tests a contact that is merged from two with a released claim of one key each.
func onceFreedJoined(t *testing.T, l ledger.Ledger, clock *Clock) {
	for _, recipient := range []string{Person, "FR.1"} {
		clock.Advance(time.Second)
		claimFor(t, l, recipient, "f1.a.1", "k")
		require.NoError(t, l.Release(t.Context(), "f1.a.1"))
	}
	clock.Advance(time.Second)
	claim(t, l, "f1.b.1", "k")
	clock.Advance(time.Second)
	claimFor(t, l, "FR.1", "f1.c.1", "k")
	n := Message("wamid.in", "oui")
	n.UserID = "FR.1"
	apply(t, l, n)
	require.Equal(t, "f1.c.1", holderOf(t, l, "k"), "the later one holds it")
	for _, call := range []string{"f1.a.1", "f1.b.1"} {
		require.Equal(t, "f1.c.1", apply(t, l, Status("wamid."+call, "sent", call))[0].Duplicate)
		require.NotEmpty(t, claim(t, l, "f1.d.1", "k"))
	}
}
