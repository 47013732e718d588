package simulator

import "facteur/actions/whatsapp"

// markRead answers a request that marks a message as read.
func (s *Simulator) markRead(m *sendRequest) *apiError {
	s.mu.Lock()
	n := s.world.number(m.id)
	if n == nil || !m.token.sees(n.account) {
		s.mu.Unlock()
		return noObject(m.r.Method, m.id)
	}
	f := pick(s.faults, target{"read", m.id, "", ""}, s.random)
	s.mu.Unlock()
	if !m.token.may(messaging) {
		return newAPIError(200, "")
	}
	if done, err := s.failRequest(m.graphCall, f); done || err != nil {
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
