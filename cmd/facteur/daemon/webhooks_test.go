package daemon

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"

	"facteur/actions/whatsapp/ledger"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// What one person wrote is delivered in its order, and what different people wrote at the
// same time.
func TestDeliverAll(t *testing.T) {
	var mu sync.Mutex
	order := map[string][]string{}
	var events []ledger.Event
	for n := range 300 {
		who := fmt.Sprint("person", n%7)
		names := []string{who, who + "'s other name"}
		if n%2 == 0 {
			slices.Reverse(names)
		}
		events = append(events, ledger.Event{ID: fmt.Sprint(n), Subjects: names, Data: map[string]any{"from": who}})
	}
	together := make(chan bool)
	require.NoError(t, deliverAll(events, func(e ledger.Event) error {
		if len(e.ID) == 1 && e.ID < "2" { // two of them are there at the same time
			select {
			case together <- true:
			case <-together:
			}
		}
		mu.Lock()
		defer mu.Unlock()
		who := e.Data["from"].(string)
		order[who] = append(order[who], e.ID)
		return nil
	}))
	require.Len(t, order, 7)
	for n := range 7 {
		var want []string
		for i := n; i < 300; i += 7 {
			want = append(want, fmt.Sprint(i))
		}
		assert.Equal(t, want, order[fmt.Sprint("person", n)])
	}
	full := errors.New("the disk is full")
	tried := 0
	assert.ErrorIs(t, deliverAll([]ledger.Event{{Subjects: []string{"a"}}, {Subjects: []string{"a"}}}, func(ledger.Event) error { tried++; return full }), full)
	assert.Equal(t, 1, tried)
	assert.NoError(t, deliverAll(nil, nil))
}
