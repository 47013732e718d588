package whatsapp

import (
	"context"
	"encoding/json"

	"facteur/actions"
	"facteur/flow/call"
)

// MarkReadInput is the input of whatsapp.mark_read.
type MarkReadInput struct {
	SenderPhoneID string `json:"sender_phone_id,omitempty" doc:"the phone number ID that received the message; optional if the connection has one"`
	MessageID     string `json:"message_id" schema:"required,minLength=1,maxLength=128" doc:"the id (wamid) of the message, at most 30 days old; earlier messages are marked as read too"`
	Typing        bool   `json:"typing,omitempty" doc:"also show that a reply is being typed, for up to 25 seconds"`
}

// MarkReadOutput is the output of whatsapp.mark_read, also when it fails.
type MarkReadOutput struct {
	StatusCode int64 `json:"status_code" schema:"required,always" doc:"HTTP status; 0: no answer"`
	Success    bool  `json:"success" schema:"required,always" doc:"whether Meta accepted it"`
	Body       any   `json:"body,omitempty" schema:"plain" doc:"the answer, parsed"`
}

// MarkRead returns the action whatsapp.mark_read, which is idempotent.
func MarkRead(o Options) actions.Action {
	p := client{roundTrip: o.roundTrip()}
	return actions.Define(actions.Spec[Account]{
		Signature: call.Signature{
			Name:       "whatsapp.mark_read",
			Doc:        "Marks a received message as read, and can show that a reply is being typed.",
			App:        App,
			Idempotent: func(map[string]any) bool { return true },
		},
		Connect: Connect,
	}, func(ctx context.Context, account Account, in MarkReadInput) (out MarkReadOutput, err error) {
		from, err := senderID(in.SenderPhoneID, account)
		if err != nil {
			return out, err
		}
		request := ReadBody{MessagingProduct: "whatsapp", Status: read, MessageID: in.MessageID}
		if in.Typing {
			request.TypingIndicator = &Typing{"text"}
		}
		body, err := json.Marshal(request)
		if err != nil {
			return out, err
		}
		r, err := p.post(ctx, &account, from, body)
		out.StatusCode, out.Body = int64(r.Status), r.json
		switch {
		case err != nil:
			return out, err
		case r.Status/100 == 2 && r.success:
			out.Success = true
			return out, nil
		}
		return out, r.failure(actions.CallOf(ctx), false)
	})
}
