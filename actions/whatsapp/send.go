package whatsapp

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"facteur/actions"
	"facteur/actions/whatsapp/graph"
	"facteur/actions/whatsapp/templates"
	"facteur/flow/call"
	"facteur/flow/schema"
)

// SendInput is the input of whatsapp.send_message.
type SendInput struct {
	SenderPhoneID string    `json:"sender_phone_id,omitempty" doc:"Meta's phone number ID to send from, not a phone number; optional if the connection has one"`
	Recipient     string    `json:"recipient" schema:"required,minLength=1,maxLength=256" doc:"who gets the message: a phone number with + and country code, or a business-scoped user ID"`
	MessageType   string    `json:"message_type" schema:"required,foldcase,enum=audio|contacts|document|image|interactive|location|reaction|sticker|template|text|video" doc:"the message type"`
	Message       Message   `json:"message" schema:"required" doc:"the object for that message_type, in Meta's own form"`
	ReplyTo       string    `json:"reply_to,omitempty" schema:"maxLength=128" doc:"the id (wamid) of the message that this one replies to"`
	Fallback      *Fallback `json:"fallback,omitempty" doc:"sent instead when the 24-hour window is closed"`
	Once          *Once     `json:"once,omitempty" doc:"skip this send if an earlier one had the same key"`
	Tracking      string    `json:"tracking,omitempty" schema:"maxLength=400" doc:"text returned on status events; Meta and every subscribed app can read it"`
}

// SchemaType is the schema of the fields, which also detects fields that belong elsewhere.
func (SendInput) SchemaType() *schema.Type { return sendInputSchema() }

var sendInputSchema = sync.OnceValue(func() *schema.Type {
	type fields SendInput
	t := schema.Of[fields]()
	t.DetectMistake = inputMistakes
	t.Field("message_type").Type.DetectMistake = hsmType
	t.Field("recipient").Type.DetectMistake = recipientListInFlow
	return t
})

func recipientListInFlow(v any) schema.Violations {
	if _, ok := v.([]any); !ok {
		return nil
	}
	return schema.Violations{{Rule: "recipient-format", Message: "a step sends to one person, but this is a list",
		Hint: "put the step into a foreach, as in {foreach: ${inputs.people}, as: person, steps: […]}, and write recipient: ${person}"}}
}

// A Fallback is the template to send when the 24-hour window is shut.
type Fallback struct {
	MessageType string  `json:"message_type" schema:"foldcase,enum=template,default=template" doc:"always template"`
	Message     Message `json:"message" schema:"required" doc:"the template"`
}

// Once is the deduplication key of a send, and for how long it counts.
type Once struct {
	Key    string        `json:"key" schema:"required,minLength=1,maxLength=256" doc:"sends with the same key count as the same message"`
	Within time.Duration `json:"within" schema:"default=24h" doc:"how long the key counts"`
}

// SendOutput is the output of whatsapp.send_message, also when it fails.
type SendOutput struct {
	StatusCode    int64  `json:"status_code" schema:"required,always" doc:"HTTP status; 0: no answer"`
	Success       bool   `json:"success" schema:"required,always" doc:"whether Meta accepted it and, with await, that state was reached"`
	MessageID     string `json:"message_id,omitempty" schema:"required" doc:"the id (wamid) of the message; with once, of the earlier message that this would repeat"`
	WaID          string `json:"wa_id,omitempty" doc:"the recipient as WhatsApp knows it; may differ from the number given"`
	UserID        string `json:"user_id,omitempty" doc:"the user ID of the recipient, where the answer says it"`
	MessageStatus string `json:"message_status,omitempty" doc:"accepted, held_for_quality_assessment or paused"`
	Delivery      State  `json:"delivery" schema:"required,always" doc:"the latest known state: accepted, held, sent, delivered, read, failed or unknown"`
	FallbackUsed  bool   `json:"fallback_used" schema:"required,always" doc:"whether the fallback was sent"`
	Repeats       string `json:"repeats,omitempty" doc:"with once: the id of the earlier message; nothing was sent"`
	Body          any    `json:"body,omitempty" schema:"plain" doc:"the answer, parsed"`
}

// SendAction is the name of the action that sends messages.
const SendAction = "whatsapp.send_message"

// SendMessage returns the action whatsapp.send_message.
func SendMessage(o Options) actions.Action {
	s := &sender{Options: o, client: &client{roundTrip: o.roundTrip()}, recipients: cmp.Or(o.Recipients, &RecipientCache{})}
	return actions.Define(actions.Spec[Account]{
		Signature: call.Signature{
			Name:            SendAction,
			Doc:             "Sends one WhatsApp message. A succeeded step means that Meta accepted the message; use await to wait until it is sent, delivered or read.",
			App:             App,
			Prepares:        claimsKey,
			Recipient:       recipientKey,
			Limits:          o.limits,
			States:          []string{sent, delivered, read},
			Receipt:         schema.Of[receiptData](),
			Settle:          settle,
			UnknownOutput:   map[string]any{"delivery": unknown},
			Check:           s.check,
			SpecializeCheck: s.specializeCheck,
			Lint:            func(in schema.Value) schema.Violations { return append(placeholders(in), s.lint(in)...) },
			Volatile:        []string{"biz_opaque_callback_data"},
		},
		Connect: Connect,
	}, s.send)
}

type sender struct {
	Options
	*client
	recipients *RecipientCache
}

// send sends the message, unless `once` finds that it would repeat another, and reports the
// answer to the ledger.
func (s *sender) send(ctx context.Context, account Account, in SendInput) (SendOutput, error) {
	out := SendOutput{Delivery: failed}
	from, err := senderID(in.SenderPhoneID, account)
	if err != nil {
		return out, err
	}
	to := s.recipients.parse(in.Recipient)
	if to.err != nil {
		return out, invalid("recipient: %v", to.err)
	}
	if out.Repeats, err = s.claimOnce(ctx, from, to.contact, in.Once); err != nil {
		return out, err
	}
	if out.Repeats != "" {
		out.Success, out.Delivery, out.MessageID = true, accepted, out.Repeats
		return out, nil
	}
	e := &envelope{to: to.contact, kind: in.MessageType, message: in.Message.value, replyTo: in.ReplyTo, reference: reference(ctx, in.Tracking)}
	shut, err := s.sendOrFallback(ctx, &account, from, e, in.Fallback, &out)
	s.reportAnswer(ctx, from, to.contact, &out, shut, err)
	return out, err
}

// sendOrFallback sends the message, or its fallback when the 24-hour window is shut: known
// beforehand, or because Meta refused the message for it. shut tells whether Meta did.
func (s *sender) sendOrFallback(ctx context.Context, account *Account, from string, e *envelope, fallback *Fallback, out *SendOutput) (shut bool, err error) {
	known := s.Window != nil && e.kind != templateType && s.Window(ctx, from, e.to.key()) == WindowShut
	if known && fallback == nil {
		return false, windowShut()
	}
	if !known {
		err = s.attempt(ctx, account, from, e, out)
		shut = needsTemplate(err)
		if fallback == nil || !shut {
			return shut, err
		}
	}
	e.kind, e.message = templateType, fallback.Message.value
	*out = SendOutput{FallbackUsed: true}
	return shut, s.attempt(ctx, account, from, e, out)
}

// attempt makes one request and fills in the output.
func (s *sender) attempt(ctx context.Context, account *Account, from string, e *envelope, out *SendOutput) error {
	if s.blockedByOptOut(ctx, from, e) {
		out.Delivery = failed
		return optedOut()
	}
	body, err := e.encode()
	if err != nil {
		out.Delivery = failed
		return invalid("message: %v", err)
	}
	r, err := s.post(ctx, account, from, body)
	out.StatusCode, out.Body = int64(r.Status), r.json
	if err == nil && r.Status/100 == 2 && r.messageID != "" {
		out.Success, out.MessageID, out.WaID, out.UserID, out.MessageStatus = true, r.messageID, r.waID, r.userID, r.status
		out.Delivery = accepted
		if r.status != "" && r.status != accepted {
			out.Delivery = held
		}
		if actions.CallOf(ctx).Await != "" {
			out.Success = false // until the state is reached
			return actions.ErrPending
		}
		return nil
	}
	return s.failureOf(ctx, &r, err, e, out)
}

// failureOf returns the error of a request that was not accepted: err, or what the answer
// says, and fills in the delivery state.
func (s *sender) failureOf(ctx context.Context, r *response, err error, e *envelope, out *SendOutput) error {
	f, ok := err.(*actions.Failure)
	switch {
	case !ok && err == nil:
		f = r.failure(actions.CallOf(ctx), hasLink(e))
	case !ok:
		out.Delivery = unknown
		return err
	case r.Status/100 == 4 && r.Status != http.StatusRequestTimeout:
		// The status alone says that the message was refused, though not why.
		f.Status, f.Retryable = call.Failed, true
	}
	out.Delivery = failed
	if f.Status == call.Unknown {
		out.Delivery = unknown
	}
	return f
}

// senderID returns the phone number ID to send from: the step's, or the connection's default.
func senderID(given string, account Account) (string, error) {
	id := cmp.Or(given, account.SenderPhoneID)
	switch {
	case id == "":
		return "", invalid("sender_phone_id: it is missing; give it in the step, or store it in the connection %q", account.Name)
	case !areDigits(id):
		return "", invalid("sender_phone_id: %s is not a phone number ID; %s", mention(id), senderHint)
	}
	return id, nil
}

const senderHint = "use the phone number ID (digits only) from WhatsApp Manager or facteur vault check"

// reference is the biz_opaque_callback_data of a send: the call's key, then the tracking.
func reference(ctx context.Context, tracking string) string {
	key := actions.CallOf(ctx).Key
	if tracking == "" {
		return key
	}
	return key + "|" + tracking
}

func needsTemplate(err error) bool {
	f, ok := err.(*actions.Failure)
	return ok && f.Status == call.Failed && f.Err.Class == string(graph.NeedsTemplate)
}

func windowShut() error {
	return actions.Permanent(&call.Error{
		Code: "window_closed", Class: string(graph.NeedsTemplate),
		Message: "nothing was sent: the recipient has not written within 24 hours, so only a template may be sent",
		Details: map[string]any{"help": "send a template, or give the step a `fallback`"},
	})
}

// blockedByOptOut tells whether a message is a marketing template and its recipient has
// opted out of marketing.
func (s *sender) blockedByOptOut(ctx context.Context, from string, e *envelope) bool {
	if s.OptedOut == nil || s.Templates == nil || e.kind != templateType || !s.OptedOut(ctx, from, e.to.key()) {
		return false
	}
	known, err := s.Templates()
	if err != nil || known == nil {
		return false
	}
	message := schema.NewValue(e.message, nil)
	language := graph.Word(message.Get("language", "code"))
	return slices.ContainsFunc(known.Named(graph.Word(message.Get("name"))), func(d *templates.Definition) bool {
		return d.Language == language && d.Category == "MARKETING"
	})
}

func optedOut() error {
	return actions.Permanent(&call.Error{
		Code: "opted_out", Class: string(graph.RecipientOptOut),
		Message: "nothing was sent: the recipient has opted out of marketing messages from this number, and the template is a marketing template",
		Details: map[string]any{"help": "do not send marketing to this person until they ask for it again, or send a utility template"},
	})
}

func invalid(format string, args ...any) error {
	return actions.Permanent(&call.Error{Code: "invalid_input", Class: string(graph.Permanent), Message: fmt.Sprintf(format, args...)})
}

// hasLink tells whether the message names its file by a link, which Meta then fetches.
func hasLink(e *envelope) bool {
	link, _ := schema.NewValue(e.message, nil).Get("link").Text()
	return strings.HasPrefix(link, "http")
}
