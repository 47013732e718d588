package ledgertest

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"facteur/actions/whatsapp/graph"
	"facteur/actions/whatsapp/inbound"
	"facteur/actions/whatsapp/ledger"
	"facteur/flow/call"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Agree applies the same random operations to two ledgers, and compares all that they return.
// open returns two empty ones with the clock now.
func Agree(t *testing.T, steps int, open func(t *testing.T, now func() time.Time) (one, other ledger.Ledger)) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	clock := NewClock()
	one, other := open(t, clock.Now)
	h := randomHistory{Rand: rand.New(rand.NewPCG(seed, 0)), clock: clock}
	for n := range steps {
		what, act := h.next()
		wanted, got := act(t, one), act(t, other)
		require.Equal(t, wanted, got, "step %d: %s", n, what)
		if n%25 == 0 {
			for what, look := range h.queries() {
				require.Equal(t, look(t, one), look(t, other), "after step %d: %s", n, what)
			}
		}
	}
	require.NoError(t, one.Close())
	require.NoError(t, other.Close())
}

// AgreeConcurrently applies random notifications through several handles of one ledger at the same
// time, in any order, some of them more than once. In the end the ledger must hold what one does to
// which they were applied one after the other. Each call of open opens the same ledger.
func AgreeConcurrently(t *testing.T, open func(t *testing.T, now func() time.Time) ledger.Ledger) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	clock := NewClock()
	h := randomHistory{Rand: rand.New(rand.NewPCG(seed, 0)), clock: clock}
	var told []inbound.Notification
	known := map[string]bool{}
	for range 400 {
		n := [...]func() inbound.Notification{h.status, h.message, h.preference}[h.IntN(3)]()
		if n.Kind == "status" { // repeated statuses must be equal
			n.PhoneNumberID, n.CallbackData = "sender0", strings.TrimPrefix(n.MessageID, "wamid.")
		}
		id := fmt.Sprint(n.Kind, n.MessageID, n.Status)
		if n.Type == "system" || n.MessageID != "" && known[id] {
			continue
		}
		known[id] = true
		told = append(told, n)
	}
	alone := &ledger.Memory{Options: ledger.Options{Now: clock.Now}}
	apply(t, alone, told...)

	var all []ledger.Ledger
	var work sync.WaitGroup
	var next atomic.Int32
	for worker := range 12 {
		if worker%4 == 0 {
			all = append(all, open(t, clock.Now))
		}
		l, r := all[len(all)-1], rand.New(rand.NewPCG(seed, uint64(worker+1)))
		work.Go(func() {
			for n := int(next.Add(1)) - 1; n < len(told); n = int(next.Add(1)) - 1 {
				some := []inbound.Notification{told[n]}
				for range r.IntN(3) {
					some = append(some, told[r.IntN(len(told))])
				}
				_, err := l.Apply(t.Context(), some...)
				assert.NoError(t, err)
				_, err = l.Contact(t.Context(), some[0].WaID)
				assert.NoError(t, err)
			}
		})
	}
	work.Wait()
	for what, look := range h.queries() {
		wanted, got := inOrder(look(t, alone)), inOrder(look(t, all[0]))
		require.Equal(t, wanted, got, what)
	}
	for _, l := range all {
		require.NoError(t, l.Close())
	}
}

// inOrder sorts results that may come in any order.
func inOrder(said any) any {
	switch said := said.(type) {
	case []inbound.Notification:
		slices.SortFunc(said, func(a, b inbound.Notification) int {
			return cmp.Compare(fmt.Sprint(a), fmt.Sprint(b))
		})
	case []call.Receipt:
		slices.SortFunc(said, func(a, b call.Receipt) int { return cmp.Compare(a.State, b.State) })
	case []any:
		for i := range said {
			said[i] = inOrder(said[i])
		}
	case ledger.Message:
		inOrder(said.Statuses)
	}
	return said
}

// A randomHistory makes up operations about a few people and messages.
type randomHistory struct {
	*rand.Rand
	clock *Clock
}

// An operation does something with a ledger, and returns the results.
type operation func(*testing.T, ledger.Ledger) any

func (h *randomHistory) next() (string, operation) {
	if h.IntN(3) == 0 {
		h.clock.Advance(time.Duration(1+h.IntN(8*3600)) * 2 * time.Second)
	}
	switch n := h.IntN(20); {
	case n < 6:
		return h.apply(h.status())
	case n < 10:
		return h.apply(h.message())
	case n < 11:
		return h.apply(h.preference())
	case n < 12: // several at once
		var all []inbound.Notification
		for range 1 + h.IntN(5) {
			all = append(all, h.message(), h.preference())
		}
		what, act := h.apply(all...)
		return what, func(t *testing.T, l ledger.Ledger) any { act(t, l); return nil }
	case n < 15:
		return h.recordAnswer()
	case n < 18:
		return h.claim()
	case n < 19:
		key := h.call()
		return "release " + key, func(t *testing.T, l ledger.Ledger) any { return l.Release(t.Context(), key) }
	}
	before := h.clock.Now().Add(-time.Duration(h.IntN(20*24)) * time.Hour)
	return "prune", func(t *testing.T, l ledger.Ledger) any {
		return must(l.Prune(t.Context(), before, 1<<20))(t)
	}
}

func (h *randomHistory) apply(told ...inbound.Notification) (string, operation) {
	return fmt.Sprintf("%+v", told), func(t *testing.T, l ledger.Ledger) any {
		return must(l.Apply(t.Context(), told...))(t)
	}
}

const (
	someNumbers = 4
	someIDs     = 5
	someCalls   = 40
)

// messageOf is the id of the message of a call.
func messageOf(call string) string { return "wamid." + call }

func (h *randomHistory) number() string { return fmt.Sprint("3361234567", h.IntN(someNumbers)) }
func (h *randomHistory) userID() string { return fmt.Sprint("FR.", h.IntN(someIDs)) }
func (h *randomHistory) sender() string { return fmt.Sprint("sender", h.IntN(2)) }
func (h *randomHistory) call() string   { return fmt.Sprint("f1.run.", h.IntN(someCalls)) }
func (h *randomHistory) recently() time.Time {
	return h.clock.Now().Add(-time.Duration(h.IntN(7200)) * time.Second).Truncate(time.Second)
}

// person adds a random person: mostly by number, or by user ID, or by both.
func (h *randomHistory) person(n inbound.Notification) inbound.Notification {
	n.WaID, n.UserID, n.PhoneNumberID, n.Timestamp = h.number(), "", h.sender(), h.recently()
	switch h.IntN(10) {
	case 0:
		n.UserID = h.userID()
	case 1, 2:
		n.WaID, n.UserID = "", h.userID()
	}
	n.From = n.WaID
	return n
}

func (h *randomHistory) status() inbound.Notification {
	status := [...]string{"sent", "failed", "delivered", "read", "warning"}[h.IntN(5)]
	call := h.call()
	n := h.person(Status(messageOf(call), status, ""))
	if h.IntN(2) == 0 {
		n.CallbackData = call
	}
	if status == "failed" {
		n.Errors = []inbound.Fault{{Error: graph.Error{Code: [...]int64{131047, 131050, 131026}[h.IntN(3)]}}}
	}
	return n
}

func (h *randomHistory) message() inbound.Notification {
	n := h.person(Message(fmt.Sprint("wamid.in.", h.IntN(200)), "oui"))
	if h.IntN(12) == 0 {
		n.Type, n.WaID = "system", h.number()
		n.Details = map[string]any{"system": map[string]any{"type": "user_changed_number", "wa_id": h.number()}}
	}
	return n
}

func (h *randomHistory) preference() inbound.Notification {
	return h.person(Preference([...]string{"stop", "resume"}[h.IntN(2)], h.clock.Now()))
}

func (h *randomHistory) recordAnswer() (string, operation) {
	call := h.call()
	a := Accepted(call, messageOf(call))
	a.Recipient, a.Sender = h.number(), h.sender()
	switch h.IntN(6) {
	case 0:
		a.MessageID, a.State, a.Shut, a.OptedOut = "", "failed", h.IntN(2) == 0, h.IntN(2) == 0
	case 1:
		a.WaID = h.number()
	}
	return fmt.Sprintf("told %+v", a), func(t *testing.T, l ledger.Ledger) any {
		return recordAnswer(t, l, a)
	}
}

func (h *randomHistory) claim() (string, operation) {
	c := Claim(h.call(), fmt.Sprint("key", h.IntN(6)))
	c.Recipient, c.Step, c.Within = h.number(), fmt.Sprint("step", h.IntN(5)), time.Duration(1+h.IntN(48))*time.Hour
	if h.IntN(4) == 0 {
		c.Recipient = h.userID()
	}
	return fmt.Sprintf("claim %+v", c), func(t *testing.T, l ledger.Ledger) any {
		repeats, err := l.Claim(t.Context(), c)
		return []any{repeats, err}
	}
}

// queries read all that a ledger holds.
func (h *randomHistory) queries() map[string]operation {
	all := map[string]operation{}
	since := h.recently().Add(-24 * time.Hour)
	for n := range someNumbers + someIDs {
		id := fmt.Sprint("3361234567", n)
		if n >= someNumbers {
			id = fmt.Sprint("FR.", n-someNumbers)
		}
		all["contact "+id] = func(t *testing.T, l ledger.Ledger) any {
			return contactIDs(t, l, id)
		}
		all["inbound of "+id] = func(t *testing.T, l ledger.Ledger) any {
			return must(l.Inbound(t.Context(), "", id, since))(t)
		}
		for s := range 2 {
			sender := fmt.Sprint("sender", s)
			all["window of "+id+" to "+sender] = func(t *testing.T, l ledger.Ledger) any {
				w := must(l.Window(t.Context(), sender, id))(t)
				return []any{w, must(l.OptedOut(t.Context(), sender, id))(t)}
			}
		}
	}
	for n := range someCalls {
		key := fmt.Sprint("f1.run.", n)
		id := messageOf(key)
		all[id] = func(t *testing.T, l ledger.Ledger) any {
			m, ok, err := l.Message(t.Context(), id)
			require.NoError(t, err)
			return []any{m, ok}
		}
		all[key] = func(t *testing.T, l ledger.Ledger) any {
			return append([]call.Receipt{}, receiptsOf(t, l, key)...)
		}
	}
	return all
}
