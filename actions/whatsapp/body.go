package whatsapp

import (
	"regexp"
	"slices"
	"strings"
	"sync"

	"facteur/flow/schema"
)

// A Body is the whole body of a request to /{phone_number_id}/messages that sends a
// message. CheckBody tells whether Meta would accept a decoded JSON value as one; schema.Decode
// decodes a Body from the output of Normalize.
type Body struct {
	MessagingProduct         string            `json:"messaging_product" schema:"required" doc:"always whatsapp; a body without it belongs to the On-Premises API: convert it with facteur message migrate"`
	RecipientType            string            `json:"recipient_type,omitempty" doc:"individual (the default) or group"`
	To                       string            `json:"to,omitempty" doc:"a phone number with + and country code, or the id of a group"`
	Recipient                string            `json:"recipient,omitempty" doc:"a business-scoped user ID, in place of to"`
	Type                     string            `json:"type,omitempty" doc:"the message type; the field of the same name holds the message"`
	Context                  *Context          `json:"context,omitempty" doc:"the message that this one replies to"`
	BizOpaqueCallbackData    string            `json:"biz_opaque_callback_data,omitempty" doc:"returned on status webhooks; up to 512 characters"`
	RecipientIdentityKeyHash string            `json:"recipient_identity_key_hash,omitempty" doc:"send only if the recipient's identity still has this hash"`
	Category                 string            `json:"category,omitempty" doc:"for Direct Send: utility, authentication or service"`
	TTLSeconds               int64             `json:"ttl_seconds,omitempty" doc:"for Direct Send: how long to try"`
	DirectSendConfig         *DirectSendConfig `json:"direct_send_config,omitempty" doc:"for Direct Send"`
	ProductPolicy            string            `json:"product_policy,omitempty" doc:"for marketing messages: CLOUD_API_FALLBACK or STRICT"`
	MessageActivitySharing   bool              `json:"message_activity_sharing,omitempty" doc:"for marketing messages"`
	BidSpec                  *BidSpec          `json:"bid_spec,omitempty" doc:"for marketing messages whose template has a maximum price"`
	Pin                      *Pin              `json:"pin,omitempty" doc:"in groups"`
	Messages
}

// A Context names the message that this one replies to.
type Context struct {
	MessageID string `json:"message_id" schema:"required" doc:"its id (wamid)"`
}

// DirectSendConfig names the template that Meta creates from a Direct Send message.
type DirectSendConfig struct {
	TemplateName string `json:"template_name" schema:"required" doc:"small letters, digits and _"`
}

// A BidSpec changes the maximum price of a marketing message.
type BidSpec struct {
	PerMessageBidMultiplier float64 `json:"per_message_bid_multiplier" schema:"required" doc:"multiplies the template's maximum price: 1.5 is half as much again"`
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
	TypingIndicator  *Typing `json:"typing_indicator,omitempty" doc:"also show that a reply is being typed"`
}

// A Typing is the typing indicator.
type Typing struct {
	Type string `json:"type" schema:"required" doc:"always text"`
}

// Values of rule.on beside message types: the body of a send and of mark_read. A pin is a
// message type of groups, which no flow can send.
const (
	onBody  = "body"
	onRead  = "read"
	pinType = "pin"
)

var bodySchema = sync.OnceValue(func() *schema.Type {
	t := withLimits(schema.Of[Body](), onBody)
	change := func(at string, by func(*schema.Type)) { t = withTypeAt(t, parsePath(at), "", by) }
	detect := func(at string, mistake func(any) schema.Violations) {
		change(at, func(t *schema.Type) { t.DetectMistake = mistake })
	}
	for _, c := range messageSchema().Cases {
		change(c.Value, func(t *schema.Type) { *t = *c.Type })
	}
	detect("", bodyMistakes)
	detect("type", hsmType)
	detect("to", recipientList)
	detect("context", thenDetect(nil, renamed("id", "message_id")))
	return t
})

var readSchema = sync.OnceValue(func() *schema.Type { return withLimits(schema.Of[ReadBody](), onRead) })

// BodyType returns the schema of a Body, with the limits of all rules and its fields in their
// usual order.
func BodyType() *schema.Type { return bodySchema() }

// CheckBody reports what Meta would refuse in the body of a request to
// /{phone_number_id}/messages, a decoded JSON value. Warnings are about what Meta may
// accept. The findings are sorted by path.
func CheckBody(body any) schema.Violations { return checkBody(body, true) }

// BodyErrors is CheckBody for the simulator: without the warnings, the most expensive of which
// looks up whether a phone number is in use.
func BodyErrors(body any) schema.Violations {
	return slices.DeleteFunc(checkBody(body, false), func(v schema.Violation) bool { return v.Warning })
}

func checkBody(body any, warnings bool) schema.Violations {
	object, ok := body.(map[string]any)
	if !ok {
		return schema.Violations{{Rule: "type", Message: "the body of a request must be an object"}}
	}
	object, loose := Normalize(object)
	if sign, ok := onPremisesBody(object); ok {
		return schema.Violations{sign}
	}
	if found, alone := typingWithoutRead(object); alone {
		return found
	}
	of, on := bodyType(object)
	v, found := of.Coerce(object)
	found = append(found, loose...)
	if kind, ok := get(object[interactiveType], "type").(string); ok && kind != strings.ToLower(kind) {
		found = append(found, schema.Violation{Path: schema.Path{interactiveType, "type"}, Rule: "interactive-type-case", Warning: true,
			Message: mention(kind) + " is not written in lower case, as Meta documents it", Hint: "write it in lower case"})
	}
	direct := isDirect(object)
	if direct {
		found = withoutRules(found, "buttons-count")
	}
	object, _ = maskRefused(v, found).(map[string]any)
	w := newWalker(found)
	w.checkRules(on, object)
	if on == onBody {
		w.checkContent(object, warnings)
	}
	found = w.found
	if direct {
		found = withoutRules(found, "button-url")
	}
	sortByPath(found)
	return found
}

// bodyType returns the schema of a body, which either sends a message or marks one as read,
// and what its rules are on.
func bodyType(body map[string]any) (of *schema.Type, on string) {
	if _, ok := body["status"]; ok && body["type"] == nil {
		return readSchema(), onRead
	}
	return bodySchema(), onBody
}

// withoutRules drops the findings of some rules, which another rule replaces.
func withoutRules(found schema.Violations, rules ...string) schema.Violations {
	return slices.DeleteFunc(found, func(v schema.Violation) bool { return slices.Contains(rules, v.Rule) })
}

// checkContent checks the message in a body and its recipient; with warnings, also whether the
// recipient's number can be in use.
func (w *walker) checkContent(body map[string]any, warnings bool) {
	kind := typeOf(body)
	if message, ok := body[kind]; ok {
		w.checkMessage(kind, message, kind)
		w.found = appendPlaceholders(w.found, message, schema.Path{kind}, true)
	}
	if to, ok := body["to"].(string); ok && to != "" && body["recipient_type"] != "group" {
		w.found = checkTo(w.found, to, warnings)
	}
}

// typeOf returns the message type of a body. A body with an interactive object and no type is
// interactive: one of Meta's examples is so.
func typeOf(body map[string]any) string {
	kind, ok := body["type"].(string)
	if _, there := body[interactiveType]; !ok && there {
		return interactiveType
	}
	return kind
}

// exampleNumber matches what documentation writes where a phone number belongs.
var exampleNumber = regexp.MustCompile(`^(<.*>|\{\{.*\}\}|\[.*\]|[A-Z]+([_-][A-Z]+)+|\+?\d+[xX*]{4,}|whatsapp-id)$`)

func isPlaceholder(to string) bool { return exampleNumber.MatchString(to) }

// checkTo checks a recipient as Meta does, which accepts numbers that flows may not use.
func checkTo(found schema.Violations, to string, warnings bool) schema.Violations {
	v := schema.Violation{Path: schema.Path{"to"}}
	digits := onlyDigits(to)
	switch {
	case warnings && isPlaceholder(to): // without warnings it is refused below, as Meta does
		v.Rule, v.Warning, v.Hint = "to-placeholder", true, "write the real number; the rest has been checked"
		v.Message = mention(to) + " is a placeholder for a phone number"
	case strings.Trim(to, "+0123456789 -().\u00a0\u202f") != "" || digits == "":
		v.Rule, v.Hint = "to-format", shownHint(to)
		v.Message = mention(to) + " is not a phone number"
		if userID.MatchString(to) {
			v.Hint = "put a business-scoped user ID into recipient"
		}
	case strings.HasPrefix(strings.TrimSpace(to), "00"):
		v.Rule, v.Hint = "to-format", "write + instead: +"+strings.TrimLeft(digits, "0")
		v.Message = mention(to) + " begins with 00"
	case !warnings:
		return found
	case !strings.HasPrefix(strings.TrimSpace(to), "+"):
		v.Rule, v.Warning, v.Hint = "to-plus", true, plusHint(to)
		v.Message = mention(to) + " has no +, so Meta puts the sender's country code before it"
	default:
		a := parseRecipient(to)
		if a.err == nil && !a.doubtful {
			return found
		}
		v.Rule, v.Warning, v.Hint = "to-doubtful", true, "check the number"
		v.Message = mention(to) + " is not in a range of phone numbers known to be in use"
	}
	return append(found, v)
}

// maskRefused replaces by schema.Unknown what the schema refused, so that no rule reports it
// a second time while the rest is still checked. A field that was meant by a misnamed one
// counts as present. v is not changed.
func maskRefused(v any, found schema.Violations) any {
	for _, f := range found {
		if f.MeantField != "" {
			v = replaceAt(v, append(slices.Clip(f.Path[:len(f.Path)-1]), f.MeantField), schema.Unknown{Type: schema.AnyType})
			continue
		}
		if !f.Warning && f.Rule != "required" && len(f.Path) > 0 && !f.OnKey {
			v = replaceAt(v, f.Path, schema.Unknown{Type: schema.AnyType})
		}
	}
	return v
}
