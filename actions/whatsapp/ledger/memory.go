package ledger

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"time"

	"facteur/actions/whatsapp"
	"facteur/actions/whatsapp/inbound"
	"facteur/flow/call"
)

// Memory is a ledger in this process. Its zero value is ready to use.
type Memory struct {
	Options

	mu           sync.Mutex
	known        map[eventID]bool
	events       []memoryEvent
	messages     map[string]*memoryMessage
	calls        map[string]string // messages by call
	contacts     map[string]*contact
	lastWebhooks map[string]time.Time // by sender
}

// A memoryEvent is a fact with the time when it came.
type memoryEvent struct {
	fact
	received time.Time
	contact  *contact // nil: none
}

// A memoryMessage is a message without Statuses.
type memoryMessage struct {
	Message
	updated time.Time
}

// A contact is what is known of a person.
type contact struct {
	mergedInto *contact // the contact that turned out to be the same person; nil: none
	ids        []string
	senders    map[string]relation
	claims     map[string][]claim // by key, each of another call; without their messages
}

// A relation is what is known of a person and a sender.
type relation struct {
	wrote, shut time.Time // as in Window
	optedOut    bool
	preferredAt time.Time // when the person opted out or in; zero: never
}

// with returns the relation with what another says, too.
func (r relation) with(o relation) relation {
	r.wrote, r.shut = latest(r.wrote, o.wrote), latest(r.shut, o.shut)
	if o.preferredAt.After(r.preferredAt) || o.preferredAt.Equal(r.preferredAt) && o.optedOut {
		r.optedOut, r.preferredAt = o.optedOut, o.preferredAt
	}
	return r
}

func latest(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// Apply implements Ledger.
func (l *Memory) Apply(ctx context.Context, told ...inbound.Notification) ([]Update, error) {
	if err := l.lock(ctx); err != nil {
		return nil, err
	}
	defer l.mu.Unlock()
	now := l.now()
	updates := make([]Update, 0, len(told))
	for _, n := range told {
		f := factOf(n, now)
		if n.PhoneNumberID != "" {
			l.lastWebhooks[n.PhoneNumberID] = latest(l.lastWebhooks[n.PhoneNumberID], now)
		}
		one := Update{Notification: n, Known: l.known[f.id]}
		if !one.Known {
			l.known[f.id] = true
			if n.Kind == "status" && n.MessageID != "" {
				if l.messages[n.MessageID] == nil && f.call != "" && f.state != failed {
					one.Duplicate = l.duplicateOf(f.call)
				}
				l.setMessage(n.MessageID, f.call, n.PhoneNumberID, normalize(n.To), f.state, f.at, now)
			}
			l.events = append(l.events, memoryEvent{f, now, l.setPerson(f)})
		}
		if m := l.messages[n.MessageID]; n.Kind == "status" && m != nil {
			one.Receipt = receiptOf(n, m.Call)
		}
		one.Contact = l.contactIDs(f.people)
		updates = append(updates, one)
	}
	return updates, nil
}

// lock locks the ledger, unless ctx has ended.
func (l *Memory) lock(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	l.mu.Lock()
	if l.known == nil {
		l.known, l.messages = map[eventID]bool{}, map[string]*memoryMessage{}
		l.calls, l.contacts, l.lastWebhooks = map[string]string{}, map[string]*contact{}, map[string]time.Time{}
	}
	return nil
}

func (l *Memory) setMessage(id, call, sender, recipient string, s state, at, now time.Time) {
	m := l.messages[id]
	if m == nil {
		m = &memoryMessage{Message: Message{ID: id, State: s.name(), At: at}}
		l.messages[id] = m
	}
	m.Call, m.Sender, m.Recipient = cmp.Or(m.Call, call), cmp.Or(m.Sender, sender), cmp.Or(m.Recipient, recipient)
	if s > stateOf(string(m.State)) {
		m.State, m.At = s.name(), at
	}
	m.updated = now
	if m.Call != "" {
		l.calls[m.Call] = id
	}
}

// setPerson stores what a fact says about its person, and returns the contact, nil for none.
func (l *Memory) setPerson(f fact) *contact {
	if !f.needsContact() {
		return nil
	}
	c := l.contact(f.people)
	if f.droppedID != "" {
		delete(l.contacts, f.droppedID)
		c.ids = slices.DeleteFunc(c.ids, func(name string) bool { return name == f.droppedID })
	}
	var said relation
	if f.wrote {
		said.wrote = f.at
	}
	if f.shut {
		said.shut = f.at
	}
	if f.optedOut || f.optedIn {
		said.optedOut, said.preferredAt = f.optedOut, f.at
	}
	c.senders[f.PhoneNumberID] = c.senders[f.PhoneNumberID].with(said)
	return c
}

// contact returns the contact with the ids, and merges those that turn out to be one person.
func (l *Memory) contact(ids []string) *contact {
	var c *contact
	for _, id := range ids {
		other := l.contacts[id]
		switch {
		case other == nil || other == c:
		case c == nil:
			c = other
		default:
			c.merge(other)
		}
	}
	if c == nil {
		c = &contact{senders: map[string]relation{}, claims: map[string][]claim{}}
	}
	c.ids = unique(append(c.ids, ids...))
	for _, name := range c.ids {
		l.contacts[name] = c
	}
	return c
}

func (c *contact) merge(other *contact) {
	other.mergedInto = c
	c.ids = append(c.ids, other.ids...)
	for sender, said := range other.senders {
		c.senders[sender] = c.senders[sender].with(said)
	}
	for key, claims := range other.claims {
		c.claims[key] = mergeClaims(c.claims[key], claims)
	}
}

// same reports whether they are one person.
func (c *contact) same(other *contact) bool {
	for c != nil && c.mergedInto != nil {
		c = c.mergedInto
	}
	return c != nil && c == other
}

func (l *Memory) contactIDs(ids []string) []string {
	for _, id := range ids {
		if c := l.contacts[id]; c != nil {
			return slices.Clone(c.ids)
		}
	}
	return ids
}

// RecordAnswer implements Ledger.
func (l *Memory) RecordAnswer(ctx context.Context, a whatsapp.Answer) ([]call.Receipt, error) {
	if err := l.lock(ctx); err != nil {
		return nil, err
	}
	defer l.mu.Unlock()
	now := l.now()
	l.setPerson(factOfAnswer(a, now))
	if a.MessageID == "" {
		l.release(a.Call)
		return nil, nil
	}
	before := l.messages[a.MessageID]
	overtaken := before != nil && before.Call == ""
	l.setMessage(a.MessageID, a.Call, a.Sender, normalize(a.Recipient), stateOf(string(a.State)), now, now)
	if !overtaken {
		return nil, nil
	}
	return receiptsOf(a.Call, l.statuses(a.MessageID)...), nil
}

func (l *Memory) statuses(message string) []inbound.Notification {
	return l.selectEvents(func(e memoryEvent) bool { return e.Kind == "status" && e.MessageID == message })
}

// selectEvents returns some events, in the order in which they came.
func (l *Memory) selectEvents(which func(memoryEvent) bool) []inbound.Notification {
	var all []inbound.Notification
	for _, e := range l.events {
		if which(e) {
			all = append(all, e.Notification)
		}
	}
	return all
}

// Message implements Ledger.
func (l *Memory) Message(ctx context.Context, id string) (Message, bool, error) {
	if err := l.lock(ctx); err != nil {
		return Message{}, false, err
	}
	defer l.mu.Unlock()
	m := l.messages[id]
	if m == nil {
		return Message{}, false, nil
	}
	whole := m.Message
	whole.Statuses = l.statuses(id)
	return whole, true, nil
}

// Receipts implements Ledger.
func (l *Memory) Receipts(ctx context.Context, since time.Time, calls ...string) (receipts []call.Receipt, err error) {
	if err := l.lock(ctx); err != nil {
		return nil, err
	}
	defer l.mu.Unlock()
	for _, key := range calls {
		m := l.messages[l.calls[key]]
		if m != nil && stateOf(string(m.State)) < sent && !m.At.Before(since) && len(l.statuses(m.ID)) == 0 {
			receipts = append(receipts, acceptedReceipt(key, m.ID))
		}
	}
	earlier := map[string]bool{} // messages
	for _, e := range l.events {
		m := l.messages[e.MessageID]
		if e.Kind != "status" || m == nil || !slices.Contains(calls, m.Call) {
			continue
		}
		if e.received.Before(since) {
			earlier[e.MessageID] = true
		}
		if !earlier[e.MessageID] {
			receipts = append(receipts, receiptsOf(m.Call, e.Notification)...)
		}
	}
	return receipts, nil
}

// Inbound implements Ledger.
func (l *Memory) Inbound(ctx context.Context, sender, contact string, since time.Time) ([]inbound.Notification, error) {
	if err := l.lock(ctx); err != nil {
		return nil, err
	}
	defer l.mu.Unlock()
	who := l.contacts[normalize(contact)]
	return l.selectEvents(func(e memoryEvent) bool {
		return e.Kind == "message" && e.contact.same(who) &&
			(sender == "" || sender == e.PhoneNumberID) && !e.received.Before(since) && !e.at.Before(since.Add(-clockSkew))
	}), nil
}

// Contact implements Ledger.
func (l *Memory) Contact(ctx context.Context, id string) ([]string, error) {
	if err := l.lock(ctx); err != nil {
		return nil, err
	}
	defer l.mu.Unlock()
	return l.contactIDs(normalizeAll(id)), nil
}

// Window implements Ledger.
func (l *Memory) Window(ctx context.Context, sender, contact string) (Window, error) {
	if err := l.lock(ctx); err != nil {
		return Window{}, err
	}
	defer l.mu.Unlock()
	c := l.contacts[normalize(contact)]
	if c == nil {
		return Window{}, nil
	}
	r := c.senders[sender]
	return windowOf(r.wrote, r.shut, l.lastWebhooks[sender], l.now()), nil
}

// OptedOut implements Ledger.
func (l *Memory) OptedOut(ctx context.Context, sender, contact string) (bool, error) {
	if err := l.lock(ctx); err != nil {
		return false, err
	}
	defer l.mu.Unlock()
	c := l.contacts[normalize(contact)]
	if c == nil {
		return false, nil
	}
	r := c.senders[sender]
	return r.optedOut && !l.lastWebhooks[sender].Before(r.preferredAt), nil
}

// Prune implements Ledger.
func (l *Memory) Prune(ctx context.Context, before time.Time, most int) (n int, err error) {
	if err := l.lock(ctx); err != nil {
		return 0, err
	}
	defer l.mu.Unlock()
	claims, held := 0, map[string]bool{}
	for _, c := range l.contacts {
		for key, all := range c.claims {
			c.claims[key] = slices.DeleteFunc(all, func(one claim) bool {
				old := claims < most && one.at.Before(before) && one.until.Before(before)
				if old {
					claims++
				} else {
					held[one.call] = true
				}
				return old
			})
		}
	}
	events := 0
	l.events = slices.DeleteFunc(l.events, func(e memoryEvent) bool {
		if events >= most || !e.received.Before(before) {
			return false
		}
		events++
		delete(l.known, e.id)
		return true
	})
	messages := 0
	for id, m := range l.messages {
		if messages < most && m.updated.Before(before) && !held[m.Call] {
			messages++
			delete(l.messages, id)
			delete(l.calls, m.Call)
		}
	}
	return claims + events + messages, nil
}

// Close implements Ledger.
func (l *Memory) Close() error { return nil }
