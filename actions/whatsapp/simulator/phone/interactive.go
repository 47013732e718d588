package phone

import (
	"cmp"
	"fmt"
	"strings"

	"facteur/flow/schema"
)

// interactive draws a message that people can do something with.
func (b *Bubble) interactive(v schema.Value) {
	b.Kind = strings.ToLower(word(v.Get("type")))
	b.head(v.Get("header"))
	b.Text, b.Footer = word(v.Get("body", "text")), word(v.Get("footer", "text"))
	action := v.Get("action")
	params := action.Get("parameters")
	press := func(kind, title string) { b.Buttons = append(b.Buttons, Button{Kind: kind, Title: title}) }
	switch b.Kind {
	case "button":
		for _, button := range action.Get("buttons").Items() {
			if to := button.Get("cta_url"); to.Present() {
				b.Buttons = append(b.Buttons, Button{Kind: "url", Title: word(to.Get("display_text")), URL: word(to.Get("url"))})
				continue
			}
			b.Buttons = append(b.Buttons, Button{Kind: "reply", Title: word(button.Get("reply", "title")), ID: word(button.Get("reply", "id"))})
		}
	case "list":
		b.List = list(action)
	case "cta_url":
		b.Buttons = []Button{{Kind: "url", Title: word(params.Get("display_text")), URL: word(params.Get("url"))}}
	case "flow":
		b.Label = "WhatsApp Flow"
		b.Facts = facts(params, "flow_id", "flow_name", "flow_action", "flow_action_payload.screen", "mode")
		press("flow", cmp.Or(word(params.Get("flow_cta")), "Open"))
	case "product":
		b.Label = "Product"
		b.Facts = facts(action, "product_retailer_id", "catalog_id")
		press("catalog", "View product")
	case "product_list":
		b.products(action)
	case "catalog_message":
		b.Label = "Catalogue"
		b.Facts = facts(params, "thumbnail_product_retailer_id")
		press("catalog", "View catalogue")
	case "location_request_message":
		press("location", "Send location")
	case "address_message":
		b.Label = "Address"
		b.Facts = facts(params, "country", "values.name", "values.phone_number", "values.address", "values.city", "values.in_pin_code")
		press("address", "Provide address")
	case "order_details":
		b.orderDetails(params)
	case "order_status":
		b.Label = "Order " + word(params.Get("reference_id"))
		b.Facts = facts(params, "order.status", "order.description", "payment.status")
	case "carousel":
		for _, card := range action.Get("cards").Items() {
			b.Cards = append(b.Cards, cardOf(card))
		}
	case "voice_call":
		press("call", cmp.Or(word(params.Get("display_text")), "Call Now"))
	case "call_permission_request":
		b.Label = "May this business call you?"
		press("permission", "Choose preference")
	case "request_contact_info":
		press("contact_info", "Share contact info")
	default:
		b.Label = "Interactive message of type " + b.Kind
	}
}

func (b *Bubble) head(v schema.Value) {
	switch kind := strings.ToLower(word(v.Get("type"))); kind {
	case "":
	case "text":
		b.Header = word(v.Get("text"))
	default:
		b.Media = media(kind, v.Get(kind))
	}
}

func list(action schema.Value) *List {
	l := &List{Button: word(action.Get("button"))}
	for _, s := range action.Get("sections").Items() {
		section := Section{Title: word(s.Get("title"))}
		for _, r := range s.Get("rows").Items() {
			section.Rows = append(section.Rows, Row{word(r.Get("id")), word(r.Get("title")), word(r.Get("description"))})
		}
		l.Sections = append(l.Sections, section)
	}
	return l
}

// products draws sections of products.
func (b *Bubble) products(action schema.Value) {
	n := 0
	for _, s := range action.Get("sections").Items() {
		var ids []string
		for _, item := range s.Get("product_items").Items() {
			ids = append(ids, word(item.Get("product_retailer_id")))
		}
		n += len(ids)
		b.Facts = append(b.Facts, Fact{cmp.Or(word(s.Get("title")), "products"), strings.Join(ids, ", ")})
	}
	b.Label = fmt.Sprintf("%d products", n)
	b.Buttons = append(b.Buttons, Button{Kind: "products", Title: "View items"})
}

func (b *Bubble) orderDetails(params schema.Value) {
	b.Label = "Order " + word(params.Get("reference_id"))
	currency := word(params.Get("currency"))
	for _, item := range params.Get("order", "items").Items() {
		b.Facts = append(b.Facts, Fact{word(item.Get("quantity")) + " × " + word(item.Get("name")), money(item.Get("amount"), currency)})
	}
	for _, part := range []string{"subtotal", "tax", "shipping", "discount"} {
		if v := params.Get("order", part); v.Get("value").Present() {
			b.Facts = append(b.Facts, Fact{part, money(v, currency)})
		}
	}
	b.Facts = append(b.Facts, Fact{"total", money(params.Get("total_amount"), currency)})
	b.Buttons = append(b.Buttons, Button{Kind: "pay", Title: "Review and pay"})
}

func money(v schema.Value, currency string) string {
	value, _ := v.Get("value").Number()
	offset, _ := v.Get("offset").Number()
	if offset <= 0 {
		offset = 100
	}
	return strings.TrimSpace(fmt.Sprintf("%.2f %s", value/offset, currency))
}

func cardOf(v schema.Value) Bubble {
	b := Bubble{Kind: "card", Text: word(v.Get("body", "text"))}
	b.head(v.Get("header"))
	action := v.Get("action")
	switch word(v.Get("type")) {
	case "product":
		b.Label, b.Facts = "Product", facts(action, "product_retailer_id", "catalog_id")
		b.Buttons = []Button{{Kind: "catalog", Title: "View"}}
	default:
		if params := action.Get("parameters"); params.Present() {
			b.Buttons = []Button{{Kind: "url", Title: word(params.Get("display_text")), URL: word(params.Get("url"))}}
		}
		for _, button := range action.Get("buttons").Items() {
			b.Buttons = append(b.Buttons, Button{Kind: "reply", Title: word(button.Get("quick_reply", "title")), ID: word(button.Get("quick_reply", "id"))})
		}
	}
	return b
}
