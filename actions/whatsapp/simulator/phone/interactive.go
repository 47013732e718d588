package phone

import (
	"cmp"
	"fmt"
	"strings"

	"facteur/flow/schema"
)

// interactive draws a message that people can do something with.
func (b *Bubble) interactive(v schema.Value) {
	b.Kind = strings.ToLower(textOf(v.Get("type")))
	b.head(v.Get("header"))
	b.Text, b.Footer = textOf(v.Get("body", "text")), textOf(v.Get("footer", "text"))
	action := v.Get("action")
	params := action.Get("parameters")
	press := func(kind, title string) { b.Buttons = append(b.Buttons, Button{Kind: kind, Title: title}) }
	switch b.Kind {
	case "button":
		for _, button := range action.Get("buttons").Items() {
			if to := button.Get("cta_url"); to.Present() {
				b.Buttons = append(b.Buttons, urlButton(to))
				continue
			}
			b.Buttons = append(b.Buttons, replyButton(button.Get("reply")))
		}
	case "list":
		b.List = list(action)
	case "cta_url":
		b.Buttons = []Button{urlButton(params)}
	case "flow":
		b.Label = "WhatsApp Flow"
		b.Facts = facts(params, "flow_id", "flow_name", "flow_action", "flow_action_payload.screen", "mode")
		b.Buttons = []Button{{Kind: "flow", Title: cmp.Or(textOf(params.Get("flow_cta")), "Open"), ID: textOf(params.Get("flow_token"))}}
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
		b.Label = "Order " + textOf(params.Get("reference_id"))
		b.Facts = facts(params, "order.status", "order.description", "payment.status")
	case "carousel":
		for _, card := range action.Get("cards").Items() {
			b.Cards = append(b.Cards, cardOf(card))
		}
	case "voice_call":
		press("call", cmp.Or(textOf(params.Get("display_text")), "Call Now"))
	case "call_permission_request":
		b.Label = "May this business call you?"
		press("permission", "Choose preference")
	case "request_contact_info":
		press("contact_info", "Share contact info")
	default:
		b.Label = "Interactive message of type " + b.Kind
	}
}

func urlButton(v schema.Value) Button {
	return Button{Kind: "url", Title: textOf(v.Get("display_text")), URL: textOf(v.Get("url"))}
}

func replyButton(v schema.Value) Button {
	return Button{Kind: "reply", Title: textOf(v.Get("title")), ID: textOf(v.Get("id"))}
}

func (b *Bubble) head(v schema.Value) {
	switch kind := strings.ToLower(textOf(v.Get("type"))); kind {
	case "":
	case "text":
		b.Header = textOf(v.Get("text"))
	default:
		b.Media = media(kind, v.Get(kind))
	}
}

func list(action schema.Value) *List {
	l := &List{Button: textOf(action.Get("button"))}
	for _, s := range action.Get("sections").Items() {
		section := Section{Title: textOf(s.Get("title"))}
		for _, r := range s.Get("rows").Items() {
			section.Rows = append(section.Rows, Row{textOf(r.Get("id")), textOf(r.Get("title")), textOf(r.Get("description"))})
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
			ids = append(ids, textOf(item.Get("product_retailer_id")))
		}
		n += len(ids)
		b.Facts = append(b.Facts, Fact{cmp.Or(textOf(s.Get("title")), "products"), strings.Join(ids, ", ")})
	}
	b.Label = fmt.Sprintf("%d products", n)
	b.Buttons = append(b.Buttons, Button{Kind: "products", Title: "View items"})
}

func (b *Bubble) orderDetails(params schema.Value) {
	b.Label = "Order " + textOf(params.Get("reference_id"))
	currency := textOf(params.Get("currency"))
	for _, item := range params.Get("order", "items").Items() {
		b.Facts = append(b.Facts, Fact{textOf(item.Get("quantity")) + " × " + textOf(item.Get("name")), money(item.Get("amount"), currency)})
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
	b := Bubble{Kind: "card", Text: textOf(v.Get("body", "text"))}
	b.head(v.Get("header"))
	action := v.Get("action")
	switch textOf(v.Get("type")) {
	case "product":
		b.Label, b.Facts = "Product", facts(action, "product_retailer_id", "catalog_id")
		b.Buttons = []Button{{Kind: "catalog", Title: "View"}}
	default:
		if params := action.Get("parameters"); params.Present() {
			b.Buttons = []Button{urlButton(params)}
		}
		for _, button := range action.Get("buttons").Items() {
			b.Buttons = append(b.Buttons, replyButton(button.Get("quick_reply")))
		}
	}
	return b
}
