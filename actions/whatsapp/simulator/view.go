package simulator

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"facteur/actions/whatsapp/simulator/phone"
)

// The limits of what the page shows.
const (
	mostConversations = 200
	mostShown         = 200
)

// A screen is what the page shows.
type screen struct {
	Now           time.Time
	Counts        Counts
	Open          bool // show the requests
	Conversations []conversationView
	Chosen        *conversationView
	Inbox         string // the phone number ID that a new customer writes to, "" when none is known
	Messages      []messageView
	Earlier       int // messages that are not shown any more
	Typing        bool
	Notice        string // what went wrong with what was asked
	Magics        []Magic
	Emojis        []string
	Kinds         []string // of what the customer can send at once
}

// A conversationView is a line of the list.
type conversationView struct {
	Key    string // number.person
	Number string
	Phone  string // of the number
	Title  string // of the business
	Person string
	Name   string // of the person, or their number
	Known  string // their number, where they have a name
	Last   []phone.Span
	At     time.Time
	Count  int
	Failed bool
	Window string // how long anything may be sent
}

// A messageView is a message on the phone.
type messageView struct {
	Message
	Bubble phone.Bubble
	Quoted []phone.Span
	Told   string // the state in words
	Tick   string // clock, one, two, read, failed
}

// screen draws the page for a conversation, "" for the latest, with the requests open or
// not.
func (s *Simulator) screen(key string, open bool) screen {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.Now()
	v := screen{Now: now.UTC(), Counts: s.log.counts, Open: open, Emojis: []string{"👍", "❤️", "😂", "😮", "😢", "🙏"}, Magics: Magics(),
		Kinds: []string{"image", "video", "audio", "document", "sticker", "location", "contacts", "order"}}
	v.Conversations = s.conversations(now)
	if key == "" && len(v.Conversations) > 0 {
		key = v.Conversations[0].Key
	}
	if i := slices.IndexFunc(v.Conversations, func(c conversationView) bool { return c.Key == key }); i >= 0 {
		v.Chosen = &v.Conversations[i]
	} else if number, person, _ := strings.Cut(key, "."); person != "" && s.world.numbers[number] != nil {
		c := s.conversation(key, &message{Message: Message{Number: number, Person: person}}, now)
		v.Chosen = &c
	}
	if v.Chosen == nil {
		if n, err := s.numberOf("", ""); err == nil {
			v.Inbox = n.ID
		}
		return v
	}
	v.Inbox = v.Chosen.Number
	for _, m := range slices.Backward(s.log.all) {
		if m.Number == v.Chosen.Number && m.Person == v.Chosen.Person && len(v.Messages) < mostShown {
			v.Messages = append(v.Messages, s.messageView(m))
		}
	}
	v.Typing = len(v.Messages) > 0 && v.Messages[0].Inbound && v.Messages[0].MarkedAs == "typing"
	slices.Reverse(v.Messages)
	v.Earlier = max(0, v.Chosen.Count-len(v.Messages))
	return v
}

// conversations lists the conversations, the one with the latest message first.
func (s *Simulator) conversations(now time.Time) []conversationView {
	var all []conversationView
	places := map[string]int{}
	for _, m := range slices.Backward(s.log.all) {
		key := m.Number + "." + m.Person
		i, known := places[key]
		if !known && len(all) >= mostConversations {
			continue
		}
		if !known {
			i = len(all)
			places[key] = i
			all = append(all, s.conversation(key, m, now))
		}
		all[i].Count++
	}
	return all
}

// findFiles sets which files of a message can be shown.
func (s *Simulator) findFiles(b *phone.Bubble) {
	if b.Media != nil {
		f := s.world.media.find(b.Media.ID, s.Now())
		b.Media.Here = f != nil && f.shown
	}
	for i := range b.Cards {
		s.findFiles(&b.Cards[i])
	}
}

func (s *Simulator) conversation(key string, m *message, now time.Time) conversationView {
	c := conversationView{Key: key, Number: m.Number, Person: m.Person, Name: cmp.Or(s.world.person(m.Person).Name, displayName(m.Person)), At: m.At, Failed: m.State == failed}
	if shown := displayName(m.Person); shown != c.Name {
		c.Known = shown
	}
	if n := s.world.numbers[m.Number]; n != nil {
		c.Phone, c.Title = n.Phone, n.Name
	}
	if m.ID != "" {
		c.Last = m.Bubble().Summary()
	}
	if at, ok := s.world.limits.windows.m[pair{m.Number, m.Person}]; ok && now.Sub(at) < windowSpan {
		left := windowSpan - now.Sub(at)
		c.Window = fmt.Sprintf("%d h %02d min", int(left.Hours()), int(left.Minutes())%60)
	}
	return c
}

func displayName(person string) string {
	if digits(person) == person {
		return "+" + person
	}
	return person
}

func (s *Simulator) messageView(m *message) messageView {
	v := messageView{Message: m.snapshot()}
	v.Bubble = v.Message.Bubble()
	s.findFiles(&v.Bubble)
	if quoted := s.log.byID[v.Bubble.Quote]; quoted != nil {
		v.Quoted = quoted.Bubble().Summary()
	} else if v.Bubble.Quote != "" {
		v.Quoted = []phone.Span{{Text: "a message that is no longer stored"}}
	}
	v.Told, v.Tick = stateText(m)
	return v
}

// stateText says in words, and by its tick, how far a message is.
func stateText(m *message) (words, tick string) {
	switch m.State {
	case accepted:
		return "accepted", "clock"
	case held:
		return "held for quality assessment", "clock"
	case sent:
		return "sent", "one"
	case delivered:
		return "delivered", "two"
	case read:
		return "read", "read"
	case failed:
		if m.Error != nil {
			return fmt.Sprintf("failed: %s (%d)", m.Error.Title, m.Error.Code), "failed"
		}
		return "failed", "failed"
	}
	switch m.MarkedAs {
	case read, "typing":
		return "read by the business", "read"
	}
	return "received by the business", "two"
}

// indented is indented JSON.
func indented(text json.RawMessage) string {
	var b bytes.Buffer
	if json.Indent(&b, text, "", "  ") != nil {
		return string(text)
	}
	return b.String()
}

// file answers with an upload that a message shows.
func (s *Simulator) file(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	f := s.world.media.find(r.PathValue("id"), s.Now())
	s.mu.Unlock()
	kind := ""
	if f != nil {
		kind, _, _ = strings.Cut(f.mime, ";")
	}
	switch kind {
	case "image/png", "image/jpeg", "image/webp", "video/mp4", "video/3gpp", "audio/mpeg", "audio/mp4", "audio/aac", "audio/amr", "audio/ogg":
	default: // nothing else may run or open in the page
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Content-Type", kind)
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(f.content))
}
