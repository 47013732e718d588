package local

import (
	"slices"
	"sync"

	"facteur/flow/machine"
)

// A message is something for a runner's loop: an event, or what yields one.
type message struct {
	event machine.Event
	// decide returns the event, nil for none. Its error goes to reply only.
	decide func(m *machine.Machine) (machine.Event, error)
	begin  *inFlightCall // a call that asks to be taken up
	reply  chan<- error  // gets the error of storing the event, not necessarily durably; may be nil
}

// answer replies to a message, if somebody waits for that.
func (m *message) answer(err error) {
	if m.reply != nil {
		m.reply <- err
		m.reply = nil
	}
}

// A mailbox holds the messages for a runner's loop. A foreground loop waits for wake. Any other
// returns when it is idle, and whoever puts in the next message starts it again.
type mailbox struct {
	wake chan struct{} // nil, but in the foreground

	mu       sync.Mutex
	messages []message
	notified bool // there is something to do
	stopped  bool // the loop has returned
}

// put adds messages, or, with none, has the loop check again what it waits for. If it returns
// true the loop has returned, and the caller must start it.
func (b *mailbox) put(messages ...message) (stopped bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.messages = append(b.messages, messages...)
	select {
	case b.wake <- struct{}{}:
	default:
	}
	stopped = b.stopped
	b.notified, b.stopped = true, false
	return stopped
}

func (b *mailbox) take() []message {
	b.mu.Lock()
	defer b.mu.Unlock()
	messages := b.messages
	b.messages = nil
	return messages
}

// putBack puts messages that were taken before the others.
func (b *mailbox) putBack(messages []message) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.messages = slices.Concat(messages, b.messages)
}

// isIdle tells whether nothing came since it was called last. If so, and the loop is about to
// return, whoever puts in the next message starts it again.
func (b *mailbox) isIdle(returns bool) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.notified || len(b.messages) > 0 {
		b.notified = false
		return false
	}
	b.stopped = returns
	return true
}
