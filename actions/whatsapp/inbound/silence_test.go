package inbound_test

import (
	"testing"
	"time"

	"facteur/actions/whatsapp/inbound"

	"github.com/stretchr/testify/assert"
)

func TestSilence(t *testing.T) {
	var s inbound.SilenceMonitor
	start := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	at := func(d time.Duration) time.Time { return start.Add(d) }
	assert.Empty(t, s.Silent(start))
	s.WebhookReceived("1", start)
	s.Sent("1", "a", at(time.Minute))
	s.Sent("2", "b", at(2*time.Minute))
	s.Sent("1", "c", at(5*time.Minute))
	assert.Empty(t, s.Silent(at(11*time.Minute-1)))
	assert.Equal(t, []inbound.SilentSender{{Sender: "1", Since: at(time.Minute), Message: "a"}}, s.Silent(at(11*time.Minute)))
	assert.Equal(t, []inbound.SilentSender{{Sender: "2", Since: at(2 * time.Minute), Message: "b"}}, s.Silent(at(12*time.Minute)), "each is told once")
	s.WebhookReceived("1", at(30*time.Second)) // what came before says nothing
	s.Sent("1", "d", at(40*time.Minute))
	assert.Equal(t, []inbound.SilentSender{{Sender: "1", Since: at(time.Minute), Message: "d"}, {Sender: "2", Since: at(2 * time.Minute)}},
		s.Silent(at(72*time.Minute)), "and again after an hour")
	s.WebhookReceived("1", at(80*time.Minute))
	s.Sent("1", "e", at(90*time.Minute))
	assert.Empty(t, s.Silent(at(95*time.Minute)))
	assert.Len(t, s.Silent(at(150*time.Minute)), 2)
}
