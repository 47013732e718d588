package simulation_test

import (
	"context"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"facteur/actions/whatsapp/simulator"
	"facteur/cmd/facteur/simulation"
	"facteur/flow/call"
	"facteur/flow/host"
	"facteur/flow/plan"
	"facteur/vault"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// heard is what a run hears by webhook.
type heard struct {
	receipts []call.Receipt
	events   []host.Event
}

func (h *heard) Receive(receipts ...call.Receipt) { h.receipts = append(h.receipts, receipts...) }

func (h *heard) Deliver(_ context.Context, e host.Event) error {
	h.events = append(h.events, e)
	return nil
}

// sends is a plan that sends through shop.
var sends = &plan.Plan{AllSteps: []*plan.Step{{Do: &plan.Action{Connection: "shop", Signature: &call.Signature{App: string(vault.WhatsApp)}}}}}

func simulated(t *testing.T) (*simulation.Simulation, vault.Connection, *heard) {
	t.Helper()
	shop := vault.Connection{Name: "shop", App: vault.WhatsApp, Setup: map[string]string{"base_url": "https://graph.test"}, Secrets: map[string]vault.Secret{}}
	s, err := simulation.New(simulation.Options{
		Clock: host.NewVirtual(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)), Seed: 1, Connections: map[string]vault.Connection{"shop": shop}, Sends: sends,
	})
	require.NoError(t, err)
	t.Cleanup(func() { _ = s.Close() })
	run := &heard{}
	s.Host = run
	return s, shop, run
}

// send sends a text to somebody who answers with oui.
func send(t *testing.T, s *simulation.Simulation, from string) (status int, err error) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "https://graph.facebook.com/v23.0/"+from+"/messages",
		strings.NewReader(`{"messaging_product":"whatsapp","to":"+33536490010","type":"text","text":{"body":"Bonjour"}}`))
	require.NoError(t, err)
	req.Header.Set("Authorization", "Bearer any")
	resp, err := s.Known.Client.Do(req)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	_, err = io.ReadAll(resp.Body)
	return resp.StatusCode, err
}

// What a run sends reaches the phone, and receipts and the answer reach the run, over the
// connection that it sent through.
func TestSimulation(t *testing.T) {
	s, shop, run := simulated(t)
	assert.Empty(t, shop.Get("base_url"), "it leads to the simulator")
	status, err := send(t, s, shop.Get("sender_phone_id"))
	require.NoError(t, err)
	assert.Equal(t, http.StatusOK, status)

	messages := s.Sent(&host.Result{Sensitive: []any{"Bonjour"}})
	require.Len(t, messages, 2)
	assert.EqualValues(t, http.StatusOK, *messages[0].StatusCode)
	assert.NotContains(t, messages[0].Text, "Bonjour", "it is sensitive")
	assert.True(t, messages[1].Inbound)
	assert.Equal(t, "oui", messages[1].Text)
	assert.Nil(t, messages[1].StatusCode)
	require.Len(t, run.events, 1)
	assert.Equal(t, "whatsapp.message", run.events[0].Name)
	assert.Equal(t, "shop", run.events[0].Connection)
}

// An answer that breaks off is a connection that does.
func TestBrokenAnswers(t *testing.T) {
	s, shop, _ := simulated(t)
	for _, fault := range []simulator.Fault{{Do: simulator.Reset, Times: 1}, {Do: simulator.Truncate, Times: 1}} {
		require.NoError(t, s.AddFault(fault))
		_, err := send(t, s, shop.Get("sender_phone_id"))
		assert.ErrorIs(t, err, io.ErrUnexpectedEOF, string(fault.Do))
	}
}
