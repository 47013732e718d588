package simulator

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"facteur/actions"
	"facteur/actions/whatsapp"
	"facteur/actions/whatsapp/graph"
	"facteur/actions/whatsapp/simulator/phone"
	"facteur/actions/whatsapp/templates"
	"facteur/flow/schema"

	"github.com/nyaruka/phonenumbers"
)

// A sendRequest is a request to send a message that is being handled.
type sendRequest struct {
	*graphCall
	id        string // of the phone number
	edge      string
	raw       []byte
	body      map[string]any
	kind      string
	key       string
	input     string
	group     bool
	fault     *Fault
	magic     *Magic
	person    *Person
	personKey string
	number    *number
	template  *template
	held      bool
	failCode  int64 // what it fails with later; 0: it does not
	warning   string
}

// messages answers POST /{phone_number_id}/messages.
func (s *Simulator) messages(g *graphCall, id, edge string) *apiError {
	if g.r.Method != http.MethodPost {
		return noObject(g.r.Method, id)
	}
	m := &sendRequest{graphCall: g, id: id, edge: edge}
	if err := m.parse(); err != nil {
		return err
	}
	if m.body["status"] != nil && m.body["type"] == nil {
		return s.markRead(m)
	}
	found := whatsapp.BodyErrors(m.body)
	m.readFields()
	s.mu.Lock()
	msg, err := s.accept(m, found)
	s.mu.Unlock()
	switch {
	case err != nil && (m.fault == nil || m.fault.accepts()):
		return err
	case err != nil:
		return s.applyFault(g, m.fault, nil)
	case m.fault != nil:
		return s.applyFault(g, m.fault, m.answer(msg))
	}
	return s.answerText(g, m.answer(msg))
}

// parse reads the body: JSON, or the fields of a form whose values may be JSON.
func (m *sendRequest) parse() (err *apiError) {
	if m.raw, err = m.read(); err != nil {
		return err
	}
	if m.body, err = formBody(m.r.Header.Get("Content-Type"), m.raw); err != nil {
		return err
	}
	changed := m.body != nil
	if !changed {
		v, err := actions.DecodeJSON(m.raw)
		body, ok := v.(map[string]any)
		if err != nil || !ok {
			return missingParameter("messaging_product")
		}
		var changes schema.Violations
		m.body, changes = whatsapp.Normalize(body)
		changed = len(changes) > 0
	}
	// A token in the body is no part of the message.
	if _, ok := m.body["access_token"]; ok {
		delete(m.body, "access_token")
		changed = true
	}
	if changed {
		m.raw = raw(m.body)
	}
	if m.body["type"] == nil && m.body["text"] != nil { // as in Meta's first samples
		m.body["type"] = "text"
	}
	return nil
}

// readFields reads the fields that the checks need, also of an invalid body.
func (m *sendRequest) readFields() {
	m.kind, _ = m.body["type"].(string)
	if m.kind == "" && m.body["interactive"] != nil {
		m.kind = "interactive"
	}
	m.key, _ = m.body["biz_opaque_callback_data"].(string)
	m.group = m.body["recipient_type"] == "group"
	if m.input, _ = m.body["to"].(string); m.input == "" {
		m.input, _ = m.body["recipient"].(string)
	}
}

// accept accepts a message, in which such errors were found, if all checks pass. The simulator is locked.
func (s *Simulator) accept(m *sendRequest, found schema.Violations) (*message, *apiError) {
	w := &s.world
	if m.number = w.number(m.id); m.number == nil || !m.token.sees(m.number.account) {
		return nil, noObject(m.r.Method, m.id)
	}
	m.waba = m.number.account.ID
	if !m.token.may(messaging) {
		return nil, newAPIError(200, "")
	}
	m.person = &Person{UserID: m.input}
	if !m.group {
		m.person = w.person(s.resolveRecipient(m.input, m.number))
		if m.magic = s.magic(digits(m.person.Phone)); m.magic != nil && m.magic.waID != "" {
			m.person = &Person{Phone: m.person.Phone, WaID: m.magic.waID}
		}
	}
	m.personKey = m.person.key()
	m.fault = pick(s.faults, target{"messages", m.number.ID, m.personKey, m.key}, s.random)
	if m.fault != nil && !m.fault.accepts() {
		return nil, m.fault.apiError()
	}
	switch {
	case len(found) > 0:
		return nil, validationError(m.body, found)
	case m.edge == "marketing_messages" && m.kind != "template":
		return nil, newAPIError(100, "Message must be a template message.")
	}
	for _, check := range [...]func(*sendRequest) *apiError{s.checkNumber, s.checkPerson, s.checkMagic, s.checkTemplate, s.checkMedia, s.checkWindow, s.checkLimits} {
		if err := check(m); err != nil {
			return nil, err
		}
	}
	return s.store(m), nil
}

// resolveRecipient is the wa_id, or the user ID, that a recipient means. A number without + is
// taken as it is when it is one of a country, as the senders of replies write it; else
// the country code of the sender is put before it. The simulator is locked.
func (s *Simulator) resolveRecipient(input string, from *number) string {
	if isUserID(input) {
		return input
	}
	input = strings.TrimSpace(input)
	number := digits(input)
	if strings.HasPrefix(input, "+") || s.world.people[number] != nil || number == from.digits || isMagic(number) {
		return number
	}
	if n, err := phonenumbers.Parse("+"+number, ""); err == nil && phonenumbers.IsPossibleNumber(n) && len(number) > 10 || err == nil && phonenumbers.IsValidNumber(n) {
		return number
	}
	sender, err := phonenumbers.Parse("+"+from.digits, "")
	if err != nil {
		return number
	}
	return strconv.Itoa(int(sender.GetCountryCode())) + strings.TrimLeft(number, "0")
}

func (s *Simulator) checkNumber(m *sendRequest) *apiError {
	switch m.number.Status {
	case "CONNECTED", "FLAGGED":
		return nil
	case "BANNED", "RESTRICTED":
		return newAPIError(131031, "")
	case "RATE_LIMITED":
		return newAPIError(131048, "")
	}
	return newAPIError(133010, "")
}

func (s *Simulator) checkPerson(m *sendRequest) *apiError {
	switch {
	case m.group:
	case m.personKey == m.number.digits:
		return newAPIError(131021, "")
	case m.number.Test && !m.number.allows(m.personKey):
		return newAPIError(131030, "")
	case m.person.Blocked:
		return newAPIError(130403, "")
	case m.person.Absent:
		m.failCode = 131026
	}
	return nil
}

func (n *number) allows(person string) bool {
	return slices.ContainsFunc(n.Allowed, func(phone string) bool { return digits(phone) == person })
}

func (s *Simulator) checkMagic(m *sendRequest) *apiError {
	if m.magic == nil {
		return nil
	}
	if m.magic.first != 0 && !s.world.magicHit[m.personKey] {
		s.world.magicHit[m.personKey] = true
		return newAPIError(m.magic.first, "")
	}
	m.held = m.magic.held
	if m.fault == nil && m.magic.fault.Do != "" {
		fault := m.magic.fault
		m.fault = &fault
		if !fault.accepts() {
			return fault.apiError()
		}
	}
	return nil
}

func (s *Simulator) checkTemplate(m *sendRequest) *apiError {
	message, ok := m.body["template"].(map[string]any)
	if m.kind != "template" || !ok {
		return nil
	}
	name, _ := message["name"].(string)
	language, _ := message["language"].(map[string]any)
	code, _ := language["code"].(string)
	m.template = m.number.account.template(name, code)
	if m.template == nil {
		if s.world.open && len(m.number.account.templates) == 0 {
			return nil
		}
		return fromGraphError(templates.NoTemplate(name, code))
	}
	def := *m.template.def
	def.Status = m.template.status
	if e := def.Refuse(message); e != nil {
		return fromGraphError(e)
	}
	if r := tooLong(&def, message, len(m.raw)); r != nil {
		return r
	}
	m.held = m.held || m.template.quality == "HELD"
	if def.Category == "AUTHENTICATION" && m.person.Phone == "" && m.person.WaID == "" {
		return newAPIError(131062, "")
	}
	if def.Category == "MARKETING" && m.person.OptOut {
		m.failCode = 131050
	}
	return nil
}

// tooLong returns an error about a template whose body is too long once it is filled in. size is an
// upper bound of the parameters' length.
func tooLong(def *templates.Definition, message map[string]any, size int) *apiError {
	const most = 1024
	if len(def.Components) < 2 {
		return nil // a body alone may be longer
	}
	for _, c := range schema.NewValue(def.Components, nil).Items() {
		text := graph.Word(c.Get("text"))
		if !strings.EqualFold(graph.Word(c.Get("type")), "body") || len(text)+size*strings.Count(text, "{{") <= most {
			continue
		}
		if n := utf8.RuneCountInString(phone.Template(def, message).Text); n > most {
			return newAPIError(132005, fmt.Sprintf("body: translated text too long: %d characters, at most %d are allowed", n, most))
		}
	}
	return nil
}

// checkWindow checks that the window is open for a message that is no template.
func (s *Simulator) checkWindow(m *sendRequest) *apiError {
	l := &s.world.limits
	inside := m.group || l.isOpen(pair{m.number.ID, m.personKey}, m.now)
	if m.kind == "template" || inside {
		return nil
	}
	switch l.window {
	case WindowRefuse:
		return newAPIError(131047, "")
	case WindowFail:
		if m.failCode == 0 {
			m.failCode = 131047
		}
	default:
		m.warning = "the 24-hour window is closed: Meta would not deliver this message (131047)"
	}
	return nil
}

// checkLimits counts the message against the limits.
func (s *Simulator) checkLimits(m *sendRequest) *apiError {
	l, n := &s.world.limits, m.number
	if n.rate != nil && !n.rate.AllowN(m.now, 1) {
		return newAPIError(130429, "")
	}
	p := pair{n.ID, m.personKey}
	if !l.pairAllows(p, m.now) {
		return newAPIError(131056, "")
	}
	most := l.people
	if l.tiers {
		most = tier(n.account.Tier)
	}
	if most == 0 || l.isOpen(p, m.now) {
		return nil
	}
	of := s.world.business[n.account.Business]
	if of == nil {
		of = &portfolio{first: map[string]time.Time{}}
		s.world.business[n.account.Business] = of
	}
	if !of.allows(m.personKey, m.now, most) {
		return newAPIError(131048, "")
	}
	return nil
}

// store stores an accepted message, and schedules its statuses.
func (s *Simulator) store(m *sendRequest) *message {
	msg := &message{version: m.version, group: m.group, category: "service", Message: Message{
		ID: s.wamid(m.personKey, false), Number: m.number.ID, Account: m.number.account.ID, Person: m.personKey, Input: m.input,
		Type: m.kind, Key: m.key, At: m.now, State: accepted, Body: m.raw, Warning: m.warning,
	}}
	switch {
	case m.template != nil:
		msg.Template = m.template.def
		msg.category = strings.ToLower(m.template.def.Category)
	case m.kind == "template":
		msg.category = "utility"
	}
	if m.held {
		msg.State = held
	}
	if m.fault != nil {
		switch m.fault.Do {
		case Drop, Hang, Reset, Status, Truncate:
			msg.Answer = string(m.fault.Do)
			s.log.counts.Lost++
		}
	}
	s.log.counts.Accepted++
	s.log.count(m.key)
	s.log.add(msg)
	if m.kind == "reaction" {
		s.react(m.body, false)
	}
	s.publish(accepted, msg)
	s.scheduleStates(msg, m)
	return msg
}

// answer is the answer to an accepted message.
func (m *sendRequest) answer(msg *message) []byte {
	b := make([]byte, 0, 320)
	b = append(b, `{"messaging_product":"whatsapp","contacts":[{"input":`...)
	b = appendText(b, m.input)
	switch {
	case m.group:
	case m.person.Phone != "" || m.person.WaID != "":
		b = appendText(append(b, `,"wa_id":`...), msg.Person)
		if m.person.UserID != "" && m.version >= 25 {
			b = appendText(append(b, `,"user_id":`...), m.person.UserID)
		}
	default:
		b = appendText(append(b, `,"user_id":`...), m.person.UserID)
	}
	b = appendText(append(b, `}],"messages":[{"id":`...), msg.ID)
	switch {
	case m.held:
		b = append(b, `,"message_status":"held_for_quality_assessment"`...)
	case m.kind == "template":
		b = append(b, `,"message_status":"accepted"`...)
	}
	if m.group {
		b = appendText(append(b, `,"group_id":`...), m.input)
	}
	return append(b, "}]}"...)
}
