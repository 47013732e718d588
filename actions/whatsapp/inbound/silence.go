package inbound

import (
	"slices"
	"strings"
	"sync"
	"time"
)

// A SilenceMonitor notices when messages are sent and no webhooks come: statuses follow a message
// within seconds, so the subscription, the callback URL or the network must be broken. Its zero
// value is ready to use. It is safe for concurrent use.
type SilenceMonitor struct {
	mu      sync.Mutex
	waiting map[string]*senderState // by sender
}

type senderState struct {
	since   time.Time // of the first message that nothing was heard after
	told    time.Time // when that was last told; zero: never
	message string    // the first since then, ""
}

// A SilentSender is a sender whose messages got no webhooks.
type SilentSender struct {
	Sender  string    // phone number ID
	Since   time.Time // of the first of those messages
	Message string    // the first since that was last told, "" when there is none
}

const (
	silence      = 10 * time.Minute
	silenceAgain = time.Hour
)

// Sent records that Meta accepted a message of a sender.
func (s *SilenceMonitor) Sent(sender, message string, at time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	one := s.waiting[sender]
	if one == nil {
		one = &senderState{since: at}
		if s.waiting == nil {
			s.waiting = map[string]*senderState{}
		}
		s.waiting[sender] = one
	}
	if one.message == "" {
		one.message = message
	}
}

// WebhookReceived records that a webhook about a sender came.
func (s *SilenceMonitor) WebhookReceived(sender string, at time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if one := s.waiting[sender]; one != nil && !at.Before(one.since) {
		delete(s.waiting, sender)
	}
}

// Silent returns the senders that have sent and got no webhook for 10 minutes, sorted; each at most
// once an hour.
func (s *SilenceMonitor) Silent(now time.Time) []SilentSender {
	s.mu.Lock()
	defer s.mu.Unlock()
	var found []SilentSender
	for sender, one := range s.waiting {
		if now.Sub(one.since) < silence || !one.told.IsZero() && now.Sub(one.told) < silenceAgain {
			continue
		}
		found = append(found, SilentSender{sender, one.since, one.message})
		one.told, one.message = now, ""
	}
	slices.SortFunc(found, func(a, b SilentSender) int { return strings.Compare(a.Sender, b.Sender) })
	return found
}
