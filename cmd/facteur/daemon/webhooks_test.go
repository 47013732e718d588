package daemon

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"facteur/actions/whatsapp/ledger"
	"facteur/project"

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

// What Meta tells of a number that a flow names is for us, however the flow writes it, and for as
// long as runs of the flow as it was may go on.
func TestNumbersThatFlowsName(t *testing.T) {
	for _, written := range []string{`sender_phone_id: "77"`, `sender_phone_id: 77`, `"sender_phone_id": "77"`, `sender_phone_id : '77'`} {
		o, _, _ := options(t)
		o.Embedded = true
		path := filepath.Join(o.Project.Root, "hello.flow.yaml")
		require.NoError(t, os.WriteFile(path, []byte(strings.ReplaceAll(sendsHello, "with: {", "with: {"+written+", ")), 0o600))
		var err error
		o.Project, _, err = project.Open(o.Project.Root)
		require.NoError(t, err)
		o.Flows, _, err = project.LoadFlows(o.Project)
		require.NoError(t, err)
		d, _ := opened(t, o)
		assert.True(t, d.knowsNumber("shop", "77"), written)
		assert.False(t, d.knowsNumber("shop", "78"))
		require.NoError(t, os.WriteFile(path, []byte(sendsHello), 0o600))
		_, err = d.flows.Reload(t.Context())
		require.NoError(t, err)
		assert.True(t, d.knowsNumber("shop", "77"))
		assert.True(t, d.knowsNumber("shop", "106540352242922"))
		assert.False(t, d.knowsNumber("shop", "78"))
	}
}
