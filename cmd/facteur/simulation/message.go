package simulation

import (
	"net/http"
	"strings"

	"facteur/actions/whatsapp/simulator"
	"facteur/flow/host"
	"facteur/flow/record"
)

// A Message is one of the run as --json prints it: as the simulator knows it, with the text
// that the phone shows and the status code that its request was answered with.
type Message struct {
	simulator.Message
	StatusCode *int64 `json:"status_code,omitempty"` // missing for one that came in
	Text       string `json:"text,omitempty"`
}

// Sent gives the messages of the run, in both directions, without sensitive values.
func (s *Simulation) Sent(r *host.Result) []Message {
	s.drain()
	statuses := map[string]int64{}
	for _, step := range r.Steps {
		if repeats, _ := step.Outputs["repeats"].(string); repeats != "" {
			continue // it sent nothing: the message is another step's
		}
		id, _ := step.Outputs["message_id"].(string)
		if code, ok := step.Outputs["status_code"].(int64); ok && id != "" {
			statuses[id] = code
		}
	}
	mask := record.NewMask(r.Sensitive)
	out := []Message{}
	for _, m := range s.Messages(simulator.Filter{}) {
		m.Body, m.Person, m.Input = mask.JSON(m.Body), mask.Text(m.Person), mask.Text(m.Input)
		b := m.Bubble()
		one := Message{Message: m, Text: strings.Trim(strings.Join([]string{b.Header, b.Text, b.Footer}, "\n"), "\n")}
		if !m.Inbound {
			code, known := statuses[m.ID]
			if !known && m.Answer == "" {
				code = http.StatusOK
			}
			one.StatusCode = &code
		}
		out = append(out, one)
	}
	return out
}
