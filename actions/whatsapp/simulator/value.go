package simulator

import (
	"strconv"
	"time"
)

// The values of webhooks, in the order in which Meta writes them.
type (
	messagesValue struct {
		Product  string     `json:"messaging_product"`
		Metadata metadata   `json:"metadata"`
		Contacts []sender   `json:"contacts,omitempty"`
		Messages []any      `json:"messages,omitempty"`
		Statuses []statusOf `json:"statuses,omitempty"`
	}
	metadata struct {
		Phone  string `json:"display_phone_number"`
		Number string `json:"phone_number_id"`
	}
	sender struct {
		Profile profile `json:"profile"`
		WaID    string  `json:"wa_id,omitempty"`
		UserID  string  `json:"user_id,omitempty"`
	}
	profile struct {
		Name string `json:"name"`
	}
	statusOf struct {
		ID           string        `json:"id"`
		Status       string        `json:"status"`
		Timestamp    string        `json:"timestamp"`
		Recipient    string        `json:"recipient_id,omitempty"`
		Type         string        `json:"recipient_type,omitempty"`
		UserID       string        `json:"recipient_user_id,omitempty"`
		Key          string        `json:"biz_opaque_callback_data,omitempty"`
		Conversation *conversation `json:"conversation,omitempty"`
		Pricing      *pricing      `json:"pricing,omitempty"`
		Errors       []hookError   `json:"errors,omitempty"`
	}
	conversation struct {
		ID      string `json:"id"`
		Expires string `json:"expiration_timestamp,omitempty"`
		Origin  origin `json:"origin"`
	}
	origin struct {
		Type string `json:"type"`
	}
	pricing struct {
		Billable bool   `json:"billable"`
		Model    string `json:"pricing_model"`
		Category string `json:"category"`
		Type     string `json:"type"`
	}
	hookError struct {
		Code    int64     `json:"code"`
		Title   string    `json:"title"`
		Message string    `json:"message"`
		Data    *hookData `json:"error_data,omitempty"`
		Href    string    `json:"href"`
	}
	hookData struct {
		Details string `json:"details"`
	}
)

const errorsPage = "https://developers.facebook.com/documentation/business-messaging/whatsapp/support/error-codes"

func (n *number) metadata() metadata { return metadata{n.digits, n.ID} }

func timestamp(at time.Time) string { return strconv.FormatInt(at.Unix(), 10) }

// status tells the webhook of a status. The simulator is locked.
func (h *dispatcher) status(m *message, state string, at time.Time) {
	w := &h.s.world
	n := w.numbers[m.Number]
	if n == nil {
		return
	}
	if _, ok := w.webhookOf(n.account); !ok {
		return
	}
	who := w.person(m.Person)
	out := statusOf{ID: m.ID, Status: state, Timestamp: timestamp(at), Key: m.Key, UserID: who.UserID}
	if !isUserID(m.Person) {
		out.Recipient = m.Person
	}
	if m.group {
		out.Type = "group"
	}
	switch state {
	case sent:
		free := m.category == "service" || m.category == "utility" && w.limits.isOpen(pair{m.Number, m.Person}, at)
		out.Pricing = &pricing{!free, "PMP", m.category, "regular"}
		if free {
			out.Pricing.Type = "free_customer_service"
		}
		if m.version < 24 {
			out.Conversation = &conversation{hashID(m.Number, m.Person, at.Format(time.DateOnly)), timestamp(at.Add(windowSpan)), origin{m.category}}
		}
	case failed:
		if e := m.Error; e != nil {
			out.Errors = []hookError{{e.Code, e.Title, e.Title, nil, errorsPage}}
			if e.Details != "" {
				out.Errors[0].Data = &hookData{e.Details}
			}
		}
	}
	h.post(n.account, "messages", m.Person, messagesValue{Product: "whatsapp", Metadata: n.metadata(), Statuses: []statusOf{out}})
}
