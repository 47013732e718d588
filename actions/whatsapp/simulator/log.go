package simulator

import (
	"encoding/json"
	"slices"
	"strings"
	"time"

	"facteur/actions/whatsapp/simulator/phone"
	"facteur/actions/whatsapp/templates"
)

// A Message is one that went over the simulator, in either direction.
type Message struct {
	Seq       int             `json:"seq"` // its place among all messages, from 1
	ID        string          `json:"id"`  // wamid
	Number    string          `json:"phone_number_id"`
	Account   string          `json:"waba_id"`
	Person    string          `json:"person"`          // wa_id, user ID or group
	Input     string          `json:"input,omitempty"` // what the request called the person
	Inbound   bool            `json:"inbound,omitempty"`
	Type      string          `json:"type"`
	Key       string          `json:"key,omitempty"` // biz_opaque_callback_data
	At        time.Time       `json:"at"`
	State     string          `json:"state"` // accepted, held_for_quality_assessment, sent, delivered, read, failed; received
	States    []State         `json:"states,omitempty"`
	Error     *Failure        `json:"error,omitempty"`     // of failed
	Warning   string          `json:"warning,omitempty"`   // what Meta would say, were it not an open world
	MarkedAs  string          `json:"marked_as,omitempty"` // of an inbound one: read, typing
	Reactions []Reaction      `json:"reactions,omitempty"` // by person and business
	Body      json.RawMessage `json:"body"`                // the request; of an inbound message, what webhooks tell

	Template *templates.Definition `json:"-"`                     // of a template message: the template, where it is known
	Answer   string                `json:"answer_lost,omitempty"` // what became of the answer: drop, hang, reset, status, truncate
}

// Bubble draws the message as a phone shows it.
func (m Message) Bubble() phone.Bubble {
	return phone.Message{Type: m.Type, Inbound: m.Inbound, Body: m.Body, Template: m.Template}.Bubble()
}

// A State is one that a message reached.
type State struct {
	State string    `json:"state"`
	At    time.Time `json:"at"`
}

// A Failure is why a message failed.
type Failure struct {
	Code    int64  `json:"code"`
	Title   string `json:"title"`
	Details string `json:"details,omitempty"`
}

// A Reaction is an emoji on a message.
type Reaction struct {
	Emoji  string `json:"emoji"`
	Person bool   `json:"person,omitempty"` // by the person, not the business
}

// Counts are of all that happened since the scene began.
type Counts struct {
	Requests int `json:"requests"` // to the Graph API
	Accepted int `json:"accepted"` // messages
	Refused  int `json:"refused"`  // requests
	Lost     int `json:"lost"`     // accepted messages whose answer was lost
	Inbound  int `json:"inbound"`
	Keys     int `json:"keys"`     // callback keys that are counted
	Repeated int `json:"repeated"` // messages with a key that was there already
	Webhooks
}

// A message is a Message with the simulator's own state.
type message struct {
	Message
	version  int
	category string // for the price
	group    bool
	size     int
}

// snapshot returns a copy for callers.
func (m *message) snapshot() Message {
	out := m.Message
	out.States = slices.Clone(m.States)
	out.Reactions = slices.Clone(m.Reactions)
	return out
}

// maxLogBytes bounds the messages that are kept, in bytes.
const maxLogBytes = 64 << 20

// A messageLog keeps the latest messages, and counts.
type messageLog struct {
	keep, size int        // messages at most; bytes of those that are kept
	all        []*message // oldest first
	byID       map[string]*message

	added    int
	counts   Counts
	keepKeys int
	keys     map[string]int
	order    []string // of keys, oldest first
}

func newLog(keep, keys int) messageLog {
	return messageLog{keep: keep, keepKeys: keys, byID: map[string]*message{}, keys: map[string]int{}}
}

func (l *messageLog) add(m *message) {
	m.size = 400 + len(m.Body)
	l.added++
	m.Seq = l.added
	for len(l.all) > 0 && (len(l.all) == l.keep || l.size+m.size > maxLogBytes) {
		old := l.all[0]
		l.all[0] = nil
		l.all = l.all[1:]
		l.size -= old.size
		delete(l.byID, old.ID)
	}
	l.all = append(l.all, m)
	l.size += m.size
	l.byID[m.ID] = m
}

// count counts the key of a message: what stands before the | in its callback data.
func (l *messageLog) count(data string) {
	key, _, _ := strings.Cut(data, "|")
	if key == "" {
		return
	}
	l.keys[key]++
	if l.keys[key] > 1 {
		l.counts.Repeated++
		return
	}
	if len(l.order) == l.keepKeys {
		delete(l.keys, l.order[0])
		l.order = l.order[1:]
	}
	l.order = append(l.order, key)
}

// A Filter selects messages; zero fields match all.
type Filter struct {
	Number  string // phone number ID
	Person  string // wa_id, phone number or user ID
	Key     string // how the callback data begin
	Type    string
	Inbound *bool
	Limit   int // the latest so many
}

func (f Filter) matches(m *message) bool {
	return (f.Number == "" || f.Number == m.Number) &&
		(f.Person == "" || f.Person == m.Person || f.Person == m.Input || !isUserID(f.Person) && digits(f.Person) == m.Person) &&
		strings.HasPrefix(m.Key, f.Key) &&
		(f.Type == "" || f.Type == m.Type) &&
		(f.Inbound == nil || *f.Inbound == m.Inbound)
}

// Messages returns the messages that are remembered, in both directions, the oldest
// first.
func (s *Simulator) Messages(f Filter) []Message {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []Message
	for _, m := range slices.Backward(s.log.all) {
		if f.matches(m) {
			out = append(out, m.snapshot())
		}
		if len(out) == f.Limit && f.Limit > 0 {
			break
		}
	}
	slices.Reverse(out)
	return out
}

// Accepted returns the messages to people that were accepted and are remembered, the
// oldest first.
func (s *Simulator) Accepted(f Filter) []Message {
	f.Inbound = new(bool)
	return s.Messages(f)
}

// Message returns one message by its id.
func (s *Simulator) Message(id string) (Message, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	m, ok := s.log.byID[id]
	if !ok {
		return Message{}, false
	}
	return m.snapshot(), true
}

// Keys returns how often each callback key was accepted: what stands before the | in
// biz_opaque_callback_data, where it begins so. A key that is not there was lost; one
// above 1 was sent twice. Of more keys than Options.Keys the oldest are forgotten, and
// only Counts knows of them.
func (s *Simulator) Keys(prefix string) map[string]int {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := map[string]int{}
	for k, n := range s.log.keys {
		if strings.HasPrefix(k, prefix) {
			out[k] = n
		}
	}
	return out
}

// Counts returns how much of what happened.
func (s *Simulator) Counts() Counts {
	s.mu.Lock()
	c := s.log.counts
	c.Keys = len(s.log.keys)
	s.mu.Unlock()
	c.Webhooks = s.dispatcher.counts()
	return c
}
