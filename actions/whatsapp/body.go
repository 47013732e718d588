package whatsapp

import (
	"regexp"
	"slices"
	"strings"
	"sync"

	"facteur/flow/schema"
)

// A Body is the whole body of a request to /{phone_number_id}/messages that sends a
// message. CheckBody tells whether Meta would take it, and schema.Decode fills it in from
// what Plain makes of a value that it would.
type Body struct {
	MessagingProduct         string            `json:"messaging_product" schema:"required" doc:"always whatsapp; a body without it is one of the On-Premises API, for facteur message migrate"`
	RecipientType            string            `json:"recipient_type,omitempty" doc:"individual unless it says group"`
	To                       string            `json:"to,omitempty" doc:"a phone number with + and country code, or the id of a group"`
	Recipient                string            `json:"recipient,omitempty" doc:"a business-scoped user ID, in place of to"`
	Type                     string            `json:"type,omitempty" doc:"the type of the message, whose object has the same name"`
	Context                  *Context          `json:"context,omitempty" doc:"the message that this one answers"`
	BizOpaqueCallbackData    string            `json:"biz_opaque_callback_data,omitempty" doc:"comes back on status webhooks, up to 512 characters"`
	RecipientIdentityKeyHash string            `json:"recipient_identity_key_hash,omitempty" doc:"send only if the recipient's identity still has this hash"`
	Category                 string            `json:"category,omitempty" doc:"of Direct Send: utility, authentication or service"`
	TTLSeconds               int64             `json:"ttl_seconds,omitempty" doc:"of Direct Send: for how long to try"`
	DirectSendConfig         *DirectSendConfig `json:"direct_send_config,omitempty" doc:"of Direct Send"`
	ProductPolicy            string            `json:"product_policy,omitempty" doc:"of marketing messages: CLOUD_API_FALLBACK or STRICT"`
	MessageActivitySharing   bool              `json:"message_activity_sharing,omitempty" doc:"of marketing messages"`
	BidSpec                  *BidSpec          `json:"bid_spec,omitempty" doc:"of marketing messages whose template has a maximum price"`
	Pin                      *Pin              `json:"pin,omitempty" doc:"in groups"`
	Messages
}

// A Context names the message that another one answers.
type Context struct {
	MessageID string `json:"message_id" schema:"required" doc:"its id (wamid)"`
}

// DirectSendConfig names the template that Meta makes of a message.
type DirectSendConfig struct {
	TemplateName string `json:"template_name" schema:"required" doc:"small letters, digits and _"`
}

// A BidSpec changes the most that a marketing message may cost.
type BidSpec struct {
	PerMessageBidMultiplier float64 `json:"per_message_bid_multiplier" schema:"required" doc:"times what the template says: 1.5 is half as much again"`
}

// A Pin keeps a message at the top of a group.
type Pin struct {
	Type           string `json:"type,omitempty" doc:"pin or unpin"`
	MessageID      string `json:"message_id" schema:"required" doc:"the id (wamid) of the message"`
	ExpirationDays int64  `json:"expiration_days,omitempty" doc:"1 to 30"`
}

// A ReadBody is the body of a request to /{phone_number_id}/messages that marks a
// message as read.
type ReadBody struct {
	MessagingProduct string  `json:"messaging_product" schema:"required" doc:"always whatsapp"`
	Status           string  `json:"status" schema:"required" doc:"always read"`
	MessageID        string  `json:"message_id" schema:"required" doc:"the id (wamid) of a message that was received"`
	TypingIndicator  *Typing `json:"typing_indicator,omitempty" doc:"also show that an answer is being written"`
}

// A Typing shows that an answer is being written.
type Typing struct {
	Type string `json:"type" schema:"required" doc:"always text"`
}

// What rules of the envelope are on.
const (
	onBody  = "body"
	onRead  = "read"
	pinType = "pin"
)

var bodySchema = sync.OnceValue(func() *schema.Type {
	t := *limited(schema.Of[Body](), onBody)
	t.Fields = slices.Clone(t.Fields)
	t.DetectMistake = otherBody
	for i, f := range t.Fields {
		if of := messageSchema().Case(f.Name); of != nil {
			t.Fields[i] = &schema.Field{Name: f.Name, Type: of}
			continue
		}
		field, of := *f, *f.Type
		switch f.Name {
		case "type":
			of.DetectMistake = hsmType
		case "to":
			of.DetectMistake = manyInOne
		case "context":
			of.DetectMistake = mistaken(nil, renamed("id", "message_id"))
		}
		field.Type, t.Fields[i] = &of, &field
	}
	return &t
})

var readSchema = sync.OnceValue(func() *schema.Type { return limited(schema.Of[ReadBody](), onRead) })

// BodyType is the shape of a Body, with its fields in their usual order, and with all that the
// types of messages allow.
func BodyType() *schema.Type { return bodySchema() }

// CheckBody tells what Meta would refuse in the body of a request to
// /{phone_number_id}/messages, a decoded JSON value. The findings come in the order of
// their paths; those that are warnings are about what Meta may take.
func CheckBody(body any) schema.Violations { return checkBody(body, true) }

// RefuseBody is CheckBody for whoever answers in Meta's place: without the warnings, the
// dearest of which asks whether a phone number is in use.
func RefuseBody(body any) schema.Violations {
	return slices.DeleteFunc(checkBody(body, false), func(v schema.Violation) bool { return v.Warning })
}

func checkBody(body any, doubts bool) schema.Violations {
	object, ok := body.(map[string]any)
	if !ok {
		return schema.Violations{{Rule: "type", Message: "the body of a request is an object"}}
	}
	object, loose := Plain(object)
	if sign, ok := onPremisesBody(object); ok {
		return schema.Violations{sign}
	}
	if found, alone := typingAlone(object); alone {
		return found
	}
	of, on := shapeOfBody(object)
	v, found := of.Coerce(object)
	found = append(found, loose...)
	if kind, ok := get(object[interactiveType], "type").(string); ok && kind != strings.ToLower(kind) {
		found = append(found, schema.Violation{Path: schema.Path{interactiveType, "type"}, Rule: "interactive-type-case", Warning: true,
			Message: mention(kind) + " is not written as Meta documents it", Hint: "write it in small letters"})
	}
	direct := isDirect(object)
	if direct {
		found = without(found, "buttons-count")
	}
	object, _ = veil(v, found).(map[string]any)
	w := newWalk(found)
	w.judge(on, object)
	if on == onBody {
		w.judgeBody(object, doubts)
	}
	found = w.found
	if direct {
		found = without(found, "button-url")
	}
	sortByPath(found)
	return found
}

// shapeOfBody tells what a body is: a message, or the mark that one was read; on is what its
// rules are on.
func shapeOfBody(body map[string]any) (of *schema.Type, on string) {
	if _, ok := body["status"]; ok && body["type"] == nil {
		return readSchema(), onRead
	}
	return bodySchema(), onBody
}

// without leaves out what some rules found, whose place another rule takes.
func without(found schema.Violations, rules ...string) schema.Violations {
	return slices.DeleteFunc(found, func(v schema.Violation) bool { return slices.Contains(rules, v.Rule) })
}

// judgeBody judges what the type of a message and its recipient say, and with doubts
// whether there can be such a recipient.
func (w *walk) judgeBody(body map[string]any, doubts bool) {
	kind := typeOf(body)
	if message, ok := body[kind]; ok {
		w.judgeMessage(kind, message, kind)
		w.found = foreign(w.found, message, schema.Path{kind}, true)
	}
	if to, ok := body["to"].(string); ok && to != "" && body["recipient_type"] != "group" {
		w.found = judgeTo(w.found, to, doubts)
	}
}

// typeOf is the message type of a body. One without a type has that of the interactive
// object in it, as one of Meta's examples has.
func typeOf(body map[string]any) string {
	kind, ok := body["type"].(string)
	if _, there := body[interactiveType]; !ok && there {
		return interactiveType
	}
	return kind
}

// documented is how documentation writes that a number belongs there.
var documented = regexp.MustCompile(`^(<.*>|\{\{.*\}\}|\[.*\]|[A-Z]+([_-][A-Z]+)+|\+?\d+[xX*]{4,}|whatsapp-id)$`)

func isPlaceholder(to string) bool { return documented.MatchString(to) }

// judgeTo judges a recipient as Meta does: it takes numbers that a flow may not have.
func judgeTo(found schema.Violations, to string, doubts bool) schema.Violations {
	v := schema.Violation{Path: schema.Path{"to"}}
	digits := onlyDigits(to)
	switch {
	case doubts && isPlaceholder(to): // whoever answers in Meta's place refuses it, as Meta does
		v.Rule, v.Warning, v.Hint = "to-placeholder", true, "write the number; the rest was checked"
		v.Message = mention(to) + " stands for a phone number"
	case strings.Trim(to, "+0123456789 -().\u00a0\u202f") != "" || digits == "":
		v.Rule, v.Hint = "to-format", shownHint(to)
		v.Message = mention(to) + " is not a phone number"
		if userID.MatchString(to) {
			v.Hint = "a business-scoped user ID goes to recipient"
		}
	case strings.HasPrefix(strings.TrimSpace(to), "00"):
		v.Rule, v.Hint = "to-format", "write + instead: +"+strings.TrimLeft(digits, "0")
		v.Message = mention(to) + " begins with 00"
	case !doubts:
		return found
	case !strings.HasPrefix(strings.TrimSpace(to), "+"):
		v.Rule, v.Warning, v.Hint = "to-plus", true, plusHint(to)
		v.Message = mention(to) + " has no +, so the country code of the sender is put before it"
	default:
		a := parseAddress(to)
		if a.err == nil && !a.doubtful {
			return found
		}
		v.Rule, v.Warning, v.Hint = "to-doubtful", true, "check the number"
		v.Message = mention(to) + " is no phone number that is known to be in use"
	}
	return append(found, v)
}

// veil puts schema.Unknown in the place of what a type refused, so that the rules give no
// second opinion on it but still judge the rest; a field that was meant is there. v itself is
// not changed.
func veil(v any, found schema.Violations) any {
	for _, f := range found {
		if f.MeantField != "" {
			v = put(v, append(slices.Clip(f.Path[:len(f.Path)-1]), f.MeantField), schema.Unknown{Type: schema.AnyType})
			continue
		}
		if !f.Warning && f.Rule != "required" && len(f.Path) > 0 && !f.OnKey {
			v = put(v, f.Path, schema.Unknown{Type: schema.AnyType})
		}
	}
	return v
}
