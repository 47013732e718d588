package inbound

import (
	"slices"
	"strings"
	"sync"
	"time"
)

// Silence notices that messages go out and no webhook comes: statuses follow a message
// within seconds, so that something is wrong with the subscription, the address, or the
// way. Its zero value is ready to use. It is safe for concurrent use.
type Silence struct {
	mu      sync.Mutex
	waiting map[string]*silent // by sender
}

type silent struct {
	since   time.Time // of the first message that nothing was heard after
	told    time.Time // when that was last told; zero: never
	message string    // the first since then, ""
}

// A SilentSender is one whose messages nothing was heard of.
type SilentSender struct {
	Sender  string    // phone number ID
	Since   time.Time // of the first of those messages
	Message string    // the first since that was last told, "" when there is none
}

const (
	silence      = 10 * time.Minute
	silenceAgain = time.Hour
)

// Sent notes that Meta accepted a message of a sender.
func (s *Silence) Sent(sender, message string, at time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	one := s.waiting[sender]
	if one == nil {
		one = &silent{since: at}
		if s.waiting == nil {
			s.waiting = map[string]*silent{}
		}
		s.waiting[sender] = one
	}
	if one.message == "" {
		one.message = message
	}
}

// Heard notes that a webhook about a sender came.
func (s *Silence) Heard(sender string, at time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if one := s.waiting[sender]; one != nil && !at.Before(one.since) {
		delete(s.waiting, sender)
	}
}

// Senders returns those who have sent and for 10 minutes have heard nothing, sorted; each
// at most once an hour.
func (s *Silence) Senders(now time.Time) []SilentSender {
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
