package simulator

import (
	"slices"
	"time"

	"facteur/actions/whatsapp"
)

// The states of messages, as webhooks call them.
const (
	accepted  = "accepted"
	held      = "held_for_quality_assessment"
	sent      = "sent"
	delivered = "delivered"
	read      = "read"
	failed    = "failed"
	received  = "received"
)

// A step is the next state of a message.
type step struct {
	after time.Duration // since acceptance
	state string
	code  int64 // of failed
}

// scheduleStates schedules the states of a message. The simulator is locked.
func (s *Simulator) scheduleStates(m *message, of *sendRequest) {
	steps, copies := s.steps(of), 1
	if of.fault != nil && of.fault.Do == Duplicate {
		copies = 2
	}
	magic := of.magic
	if magic == nil && of.person.Reply != "" {
		magic = &Magic{replies: of.person.Reply}
	}
	s.scheduleNext(m, steps, copies, magic)
}

// scheduleNext schedules the next state. The simulator is locked.
func (s *Simulator) scheduleNext(m *message, steps []step, copies int, magic *Magic) {
	if len(steps) == 0 {
		s.reply(m, magic)
		return
	}
	s.schedule(m.At.Add(steps[0].after), func(at time.Time) {
		for range copies {
			s.setState(m, steps[0].state, steps[0].code, at)
		}
		s.scheduleNext(m, steps[1:], copies, magic)
	})
}

// steps are the states that a message will reach.
func (s *Simulator) steps(of *sendRequest) []step {
	delays := s.options.Scene.Statuses
	var later time.Duration
	var steps []step
	add := func(state string, d Duration, usual time.Duration, code int64) {
		if after, ok := d.or(usual); ok {
			steps = append(steps, step{after + later, state, code})
		}
	}
	if of.held {
		later, _ = delays.Held.or(5 * time.Minute)
	}
	fault, magic := of.fault, of.magic
	code := of.failCode
	if fault != nil {
		switch fault.Do {
		case Silent:
			return nil
		case Late:
			d, _ := fault.Delay.or(0)
			later += d
		case Fail:
			code = fault.Code
		}
	}
	if code != 0 {
		add(failed, delays.Failed, 300*time.Millisecond, code)
		return steps
	}
	add(sent, delays.Sent, 100*time.Millisecond, 0)
	if of.kind == "reaction" {
		return steps
	}
	add(delivered, delays.Delivered, 400*time.Millisecond, 0)
	usual := time.Duration(-1)
	if of.person.Reads || of.person.Reply != "" || magic != nil && magic.reads {
		usual = 800 * time.Millisecond
	}
	add(read, delays.Read, usual, 0)
	if magic != nil && magic.told != nil {
		steps = slices.DeleteFunc(steps, func(p step) bool { return !slices.Contains(magic.told, p.state) })
	}
	if fault != nil && fault.Do == Reorder && len(steps) > 1 {
		steps[0].state, steps[1].state = steps[1].state, steps[0].state
	}
	return steps
}

// rank orders states: a late one does not change the message's.
func rank(state string) int {
	return slices.Index([]string{accepted, held, sent, delivered, read, failed}, state)
}

// setState sets the state of a message, and posts a webhook. The simulator is locked.
func (s *Simulator) setState(m *message, state string, code int64, at time.Time) {
	m.States = append(m.States, State{state, at})
	if rank(state) > rank(m.State) {
		m.State = state
	}
	if code != 0 {
		m.Error = failure(code)
	}
	s.publish("status", m)
	s.dispatcher.status(m, state, at)
}

func failure(code int64) *Failure {
	title, details := wording(code)
	return &Failure{Code: code, Title: title, Details: details}
}

// Read has a person read the messages of a number.
func (s *Simulator) Read(number, person string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !isUserID(person) {
		person = digits(person)
	}
	now := s.Now()
	for _, m := range s.log.all {
		if m.Inbound || m.Number != number || m.Person != person || m.State != sent && m.State != delivered || m.Type == "reaction" {
			continue
		}
		if m.State == sent {
			s.setState(m, delivered, 0, now)
		}
		s.setState(m, read, 0, now)
	}
}

// markRead answers a request that marks a message as read.
func (s *Simulator) markRead(m *sendRequest) *apiError {
	s.mu.Lock()
	n := s.world.number(m.id)
	s.mu.Unlock()
	if n == nil || !m.token.sees(n.account) {
		return noObject(m.r.Method, m.id)
	}
	if !m.token.may(messaging) {
		return newAPIError(200, "")
	}
	if done, err := s.failRequest(m.graphCall, "read", m.id); done {
		return err
	}
	if found := whatsapp.BodyErrors(m.body); len(found) > 0 {
		return validationError(m.body, found)
	}
	id, _ := m.body["message_id"].(string)
	s.mu.Lock()
	defer s.mu.Unlock()
	of := s.log.byID[id]
	switch {
	case of != nil && of.Inbound && of.Number == n.ID:
		of.MarkedAs = read
		if m.body["typing_indicator"] != nil {
			of.MarkedAs = "typing"
		}
		s.publish(of.MarkedAs, of)
	case !s.world.open:
		return newAPIError(100, "Message ID does not exist or is not one that the number received.")
	}
	return s.answerText(m.graphCall, []byte(`{"success":true}`))
}
