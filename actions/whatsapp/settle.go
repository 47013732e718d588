package whatsapp

import (
	"maps"
	"strconv"

	"facteur/actions/whatsapp/graph"
	"facteur/flow/call"
)

// The states of a message, the values of `delivery`.
const (
	accepted  = "accepted"
	held      = "held"
	sent      = "sent"
	delivered = "delivered"
	read      = "read"
	failed    = "failed"
	unknown   = "unknown"
)

// rank orders the states that a message passes through; 0 for any other state.
func rank(state string) int {
	switch state {
	case accepted, held:
		return 1
	case sent:
		return 2
	case delivered:
		return 3
	case read, "played":
		return 4
	}
	return 0
}

// settle turns a status of a message into outputs and an outcome. Statuses arrive in any
// order and more than once, so a state never goes back, and a failure counts unless the
// message was delivered, whichever arrived first. A failure after acceptance is never retried.
func settle(in, out map[string]any, r call.Receipt, want string) call.Outcome {
	now := maps.Clone(out)
	if now == nil {
		now = map[string]any{}
	}
	for k, zero := range map[string]any{"status_code": int64(0), "fallback_used": false} {
		if _, ok := now[k]; !ok {
			now[k] = zero
		}
	}
	for _, k := range []string{"message_id", "wa_id", "user_id"} {
		if text, _ := r.Data[k].(string); text != "" && now[k] == nil {
			now[k] = text
		}
	}
	before, _ := now["delivery"].(string)
	if r.State == failed && rank(before) < rank(delivered) {
		now["delivery"], now["success"] = failed, false
		return call.Outcome{Status: call.Failed, Output: now, Error: undelivered(r.Error)}
	}
	state := before
	if before == failed && rank(r.State) < rank(delivered) { // a late status from before the failure
		return call.Outcome{Status: call.Pending, Output: now}
	}
	if rank(r.State) > rank(before) {
		state = r.State
		if state == "played" {
			state = read
		}
		now["delivery"] = state
	}
	reached := rank(state) > 0 && rank(state) >= rank(want)
	now["success"] = reached
	o := call.Outcome{Status: call.Pending, Output: now}
	if reached {
		o.Status = call.Succeeded
	}
	return o
}

// undelivered classifies the error of a failed status, unless it already has a class.
func undelivered(e *call.Error) *call.Error {
	if e == nil {
		return &call.Error{Code: "undelivered", Class: string(graph.Permanent), Message: "Meta did not deliver the message and did not say why"}
	}
	if e.Class != "" {
		return e
	}
	code := e.MetaCode
	if code == 0 {
		code, _ = strconv.ParseInt(e.Code, 10, 64)
	}
	if code == 0 {
		return e
	}
	g := graph.Error{Code: code, Title: e.Message}
	g.Details, _ = e.Details["details"].(string)
	classified := g.Undelivered()
	for k, x := range e.Details {
		if _, ok := classified.Details[k]; !ok {
			classified.Details[k] = x
		}
	}
	return classified
}

// A State is the state of a message. The zero State is failed: nothing was accepted.
type State string

// EncodeValue returns the state's name.
func (s State) EncodeValue() any {
	if s == "" {
		return failed
	}
	return string(s)
}

// receiptData is the content of a status webhook, as Data of a call.Receipt. A real one
// always has the message's id; flow tests may leave it out.
type receiptData struct {
	MessageID string        `json:"message_id,omitempty" doc:"The message that this receipt is about." schema:"default=wamid.FROM-RECEIPT"`
	WaID      string        `json:"wa_id,omitempty" doc:"The recipient as WhatsApp knows them."`
	UserID    string        `json:"user_id,omitempty" doc:"Their user ID, where Meta says it."`
	Error     *receiptError `json:"error,omitempty" doc:"For failed: why."`
}

type receiptError struct {
	Code    string `json:"code" doc:"Meta's code, e.g. 131047." schema:"required"`
	Title   string `json:"title,omitempty" doc:"Meta's name for it."`
	Message string `json:"message,omitempty" doc:"The same, as newer webhooks repeat it."`
	Details string `json:"details,omitempty" doc:"From error_data."`
}
