package whatsapp_test

import (
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"

	"facteur/actions/whatsapp"
	"facteur/flow/schema"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A generator generates random valid bodies.
type generator struct{ *rand.Rand }

func (m generator) text(least, most int) string {
	alphabet := []rune("abcdefghij ABCDEF 0123456789 éàüñ 中文 🙂.,!?-_*~")
	n := least + m.IntN(most-least+1)
	var b strings.Builder
	units := 0
	for i := range n {
		r := alphabet[m.IntN(len(alphabet))]
		if i == 0 || i == n-1 || r == ' ' && strings.HasSuffix(b.String(), " ") {
			r = 'x' // no padding, no runs of spaces
		}
		if units++; r > 0xFFFF {
			units++
		}
		if units > most {
			break
		}
		b.WriteRune(r)
	}
	return strings.TrimSpace(b.String())
}

func (m generator) id(most int) string {
	return "id-" + strconv.Itoa(m.IntN(1 << 30))[:min(most-3, 1+m.IntN(6))]
}

// list generates between least and most elements.
func (m generator) list(least, most int, of func(i int) any) []any {
	list := []any{}
	for i := range least + m.IntN(most-least+1) {
		list = append(list, of(i))
	}
	return list
}

// optional adds a field half the time.
func (m generator) optional(object map[string]any, name string, v any) {
	if m.IntN(2) == 0 {
		object[name] = v
	}
}

func (m generator) file(ending string) map[string]any {
	if m.IntN(2) == 0 {
		return map[string]any{"id": m.id(20)}
	}
	return map[string]any{"link": "https://cdn.test/" + m.id(20) + ending}
}

type object = map[string]any

// message generates a message of a type.
func (m generator) message(kind string) any {
	switch kind {
	case "text":
		return object{"body": m.text(1, 4096), "preview_url": m.IntN(2) == 0}
	case "image":
		o := m.file(".png")
		m.optional(o, "caption", m.text(0, 1024))
		return o
	case "video":
		o := m.file(".mp4")
		m.optional(o, "caption", m.text(0, 1024))
		return o
	case "audio":
		o := m.file(".ogg")
		m.optional(o, "voice", true)
		return o
	case "document":
		o := m.file(".pdf")
		m.optional(o, "filename", m.text(1, 40))
		m.optional(o, "caption", m.text(0, 1024))
		return o
	case "sticker":
		return m.file(".webp")
	case "location":
		return object{"latitude": m.Float64()*180 - 90, "longitude": strconv.FormatFloat(m.Float64()*360-180, 'f', 6, 64), "name": m.text(1, 50), "address": m.text(1, 50)}
	case "contacts":
		return m.list(1, 257, func(int) any {
			return object{"name": object{"formatted_name": m.text(1, 30), "last_name": m.text(1, 30)}, "birthday": "1999-12-31"}
		})
	case "reaction":
		return object{"message_id": m.id(128), "emoji": []string{"👍", "❤️", "🇫🇷", ""}[m.IntN(4)]}
	case "template":
		return m.template()
	}
	return m.interactive(strings.TrimPrefix(kind, "interactive/"))
}

func (m generator) template() object {
	text := func(most int) object { return object{"type": "text", "text": m.text(1, most)} }
	parts := []any{}
	switch m.IntN(3) {
	case 0:
		parts = append(parts, object{"type": "header", "parameters": []any{text(60)}})
	case 1:
		parts = append(parts, object{"type": "HEADER", "parameters": []any{object{"type": "image", "image": m.file(".jpg")}}})
	}
	parts = append(parts, object{"type": "body", "parameters": m.list(0, 9, func(int) any { return text(1024) })})
	for i := range m.IntN(4) {
		parts = append(parts, object{"type": "button", "sub_type": "quick_reply", "index": strconv.Itoa(i), "parameters": []any{object{"type": "payload", "payload": m.text(0, 512)}}})
	}
	if m.IntN(3) == 0 {
		parts = append(parts, object{"type": "carousel", "cards": m.list(2, 10, func(i int) any {
			return object{"card_index": i, "components": []any{object{"type": "body", "parameters": []any{text(160)}}}}
		})})
	}
	return object{"name": "t_" + strconv.Itoa(m.IntN(1000)), "language": object{"code": []string{"fr", "en_US", "fil"}[m.IntN(3)]}, "components": parts}
}

func (m generator) interactive(kind string) object {
	o := object{"type": kind, "body": object{"text": m.text(1, 1024)}}
	product := func(int) any { return object{"product_retailer_id": m.id(100)} }
	switch kind {
	case "button":
		m.optional(o, "header", object{"type": "video", "video": m.file(".mp4")})
		m.optional(o, "footer", object{"text": m.text(1, 60)})
		o["action"] = object{"buttons": m.list(1, 3, func(i int) any {
			return object{"type": "reply", "reply": object{"id": "b" + strconv.Itoa(i), "title": strconv.Itoa(i) + m.text(1, 19)}}
		})}
	case "list":
		m.optional(o, "header", object{"type": "text", "text": m.text(1, 60)})
		n := 0
		o["action"] = object{"button": m.text(1, 20), "sections": m.list(1, 5, func(int) any {
			return object{"title": m.text(1, 24), "rows": m.list(1, 2, func(int) any {
				n++
				return object{"id": "r" + strconv.Itoa(n), "title": m.text(1, 24), "description": m.text(0, 72)}
			})}
		})}
	case "cta_url":
		o["action"] = object{"name": "cta_url", "parameters": object{"display_text": m.text(1, 20), "url": "https://shop.test/" + m.id(20)}}
	case "flow":
		o["action"] = object{"name": "flow", "parameters": object{"flow_message_version": "3", "flow_id": m.id(20), "flow_token": "t", "flow_cta": "Book " + m.id(12)}}
	case "product":
		o["action"] = object{"catalog_id": m.id(20), "product_retailer_id": m.id(100)}
	case "product_list":
		o["header"] = object{"type": "text", "text": m.text(1, 60)}
		o["action"] = object{"catalog_id": m.id(20), "sections": m.list(1, 10, func(int) any { return object{"title": m.text(1, 24), "product_items": m.list(1, 3, product)} })}
	case "catalog_message":
		o["action"] = object{"name": "catalog_message"}
	case "location_request_message":
		o["action"] = object{"name": "send_location"}
	case "carousel":
		o["action"] = object{"cards": m.list(2, 10, func(i int) any {
			return object{"card_index": i, "type": "cta_url", "header": object{"type": "image", "image": m.file(".png")}, "body": object{"text": m.text(1, 160)},
				"action": object{"name": "cta_url", "parameters": object{"display_text": m.text(1, 20), "url": "https://shop.test"}}}
		})}
	case "voice_call":
		o["action"] = object{"name": "voice_call", "parameters": object{"display_text": m.text(1, 20), "ttl_minutes": 1 + m.IntN(43200)}}
	case "address_message":
		o["action"] = object{"name": kind, "parameters": object{"country": "IN"}}
	case "order_details":
		item := 100 * (1 + m.IntN(1000))
		amount := func(n int) object { return object{"value": n, "offset": 100} }
		o["action"] = object{"name": "review_and_pay", "parameters": object{"reference_id": m.id(35), "type": "digital-goods", "currency": "INR", "total_amount": amount(2*item + 5),
			"order": object{"status": "pending", "items": []any{object{"name": m.text(1, 60), "amount": amount(item), "quantity": 2}}, "subtotal": amount(2 * item), "tax": amount(5)}}}
	case "order_status":
		o["action"] = object{"name": "review_order", "parameters": object{"reference_id": m.id(35), "order": object{"status": "shipped", "description": m.text(0, 120)}}}
	default:
		o["action"] = object{"name": kind}
	}
	return o
}

// generatedKinds are the message types and kinds that the generator covers.
const generatedKinds = "text image video audio document sticker location contacts reaction template interactive/button interactive/list interactive/cta_url interactive/flow " +
	"interactive/product interactive/product_list interactive/catalog_message interactive/location_request_message interactive/carousel interactive/voice_call " +
	"interactive/address_message interactive/order_details interactive/order_status interactive/call_permission_request interactive/request_contact_info"

// body generates a whole body, as decoded JSON.
func (m generator) body(t testing.TB, kind string) object {
	name, _, _ := strings.Cut(kind, "/")
	b, found := schema.AnyType.Coerce(object{"messaging_product": "whatsapp", "to": "+3361" + strconv.Itoa(1000000+m.IntN(8000000)), "type": name, name: m.message(kind)})
	require.NoError(t, found.Err())
	return b.(object)
}

// A mutation makes one kind of body violate one rule.
type mutation struct{ kind, rule, path, json string }

var mutations = []mutation{
	{"text", "text-body", "text.body", `""`},
	{"text", "text-body", "text.body", `"x"*4097`},
	{"image", "media-one-of", "image", `{}`},
	{"image", "media-caption", "image.caption", `"x"*1025`},
	{"video", "media-one-of", "video", `{"id": "1", "link": "https://x.test"}`},
	{"audio", "other-shape", "audio.caption", `"x"`},
	{"document", "document-filename", "document.filename", `""`},
	{"sticker", "media-link", "sticker", `{"link": "file:///a.webp"}`},
	{"location", "location-latitude", "location.latitude", `91`},
	{"contacts", "required", "contacts[0].name", `{"first_name": "x"}`},
	{"contacts", "contact-birthday", "contacts[0].birthday", `"2001-13-01"`},
	{"reaction", "reaction-emoji", "reaction.emoji", `"no"`},
	{"template", "template-name", "template.name", `"A"`},
	{"template", "template-part-type", "template.components[0].type", `"buttons"`},
	{"template", "parameter-text", "template.components", `[{"type": "body", "parameters": [{"type": "text", "text": "a\nb"}]}]`},
	{"interactive/button", "buttons-count", "interactive.action.buttons", `[{"type": "reply", "reply": {"id": "#", "title": "#"}}]*4`},
	{"interactive/button", "button-title", "interactive.action.buttons[0].reply.title", `"x"*21`},
	{"interactive/button", "interactive-body", "interactive", `{"type": "button", "action": {"buttons": [{"type": "reply", "reply": {"id": "1", "title": "1"}}]}}`},
	{"interactive/list", "list-button", "interactive.action.button", `"x"*21`},
	{"interactive/list", "list-row-description", "interactive.action.sections[0].rows[0].description", `"x"*73`},
	{"interactive/list", "list-rows-total", "interactive.action.sections", `[{"title": "x", "rows": [{"id": "#", "title": "x"}]*11}]`},
	{"interactive/cta_url", "cta-url", "interactive.action.parameters.url", `"x"`},
	{"interactive/flow", "flow-one-of", "interactive.action.parameters.flow_name", `"x"`},
	{"interactive/product", "interactive-no-header", "interactive.header", `{"type": "text", "text": "x"}`},
	{"interactive/product_list", "products-total", "interactive.action.sections", `[{"title": "x", "product_items": [{"product_retailer_id": "p"}]*31}]`},
	{"interactive/catalog_message", "action-name", "interactive.action.name", `"catalog"`},
	{"interactive/location_request_message", "interactive-no-footer", "interactive.footer", `{"text": "x"}`},
	{"interactive/carousel", "card-body", "interactive.action.cards[1].body.text", `"x"*161`},
	{"interactive/carousel", "card-index", "interactive.action.cards[1].card_index", `10`},
	{"interactive/voice_call", "voice-call-ttl", "interactive.action.parameters.ttl_minutes", `43201`},
	{"interactive/address_message", "address-country", "interactive.action.parameters.country", `"SG"`},
	{"interactive/order_details", "order-total", "interactive.action.parameters.total_amount.value", `1`},
	{"interactive/order_status", "order-status", "interactive.action.parameters.order.status", `"gone"`},
	{"interactive/call_permission_request", "interactive-no-header", "interactive.header", `{"type": "text", "text": "x"}`},
	{"interactive/request_contact_info", "interactive-body-length", "interactive.body.text", `"x"*1025`},
}

// Generated bodies pass, and each mutation violates its rule alone.
func TestGeneratedBodies(t *testing.T) {
	m := generator{rand.New(rand.NewPCG(7, 11))}
	for kind := range strings.FieldsSeq(generatedKinds) {
		for range 40 {
			body := m.body(t, kind)
			require.Empty(t, findingTexts(whatsapp.CheckBody(body)), "%s: %.500v", kind, body)
		}
	}
	for _, x := range mutations {
		for range 10 {
			body := setAt(t, m.body(t, x.kind), x.path, decodeJSON(t, x.json), false)
			var rules []string
			for _, v := range whatsapp.CheckBody(body) {
				if !v.Warning {
					rules = append(rules, v.Rule)
				}
			}
			assert.Equal(t, []string{x.rule}, rules, "%s %s", x.kind, x.path)
		}
	}
}
