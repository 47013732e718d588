package whatsapp

import (
	"time"

	"facteur/flow/call"
	"facteur/flow/schema"
)

// An Inbound is a message to the business; `event` in flows.
type Inbound struct {
	From          string         `json:"from" schema:"required,always" doc:"who sent it, in a form that recipient takes as it is"`
	SenderPhoneID string         `json:"sender_phone_id" schema:"required,always" doc:"the phone number ID that it came to; answer from this one"`
	MessageID     string         `json:"message_id" schema:"required,always" doc:"its id (wamid), for reply_to, reactions and mark_read"`
	Type          string         `json:"type" schema:"required,always" doc:"text, image, audio, video, document, sticker, location, contacts, reaction, button, interactive, order, edit, revoke, request_welcome or unsupported"`
	Text          string         `json:"text" schema:"required,always" doc:"the text, the caption of a file, or what a pressed button says; \"\" when there is none"`
	ReplyID       string         `json:"reply_id" schema:"required,always" doc:"the id of the button (its payload) or of the list row that was chosen; \"\" when there is none"`
	ReplyTitle    string         `json:"reply_title" schema:"required,always" doc:"what the chosen button or row says; \"\" when there is none"`
	ProfileName   string         `json:"profile_name" schema:"required,always" doc:"what the sender is called on WhatsApp; \"\" when not known"`
	Timestamp     time.Time      `json:"timestamp" schema:"required,always" doc:"when it was sent"`
	Raw           map[string]any `json:"raw" schema:"required,always" doc:"the message as Meta gives it: event.raw.?image.id.orValue(\"\") is the id of a picture"`
}

// Events returns the kinds of event that flows can wait for.
func Events() []call.Event {
	return []call.Event{
		{
			Name:      "whatsapp.message",
			Doc:       "A WhatsApp message to the business. A wait_for matches those that arrived since the run's latest message to their sender.",
			Type:      schema.Of[Inbound](),
			By:        "from",
			Subject:   contactKey,
			SinceCall: true,
		},
	}
}
