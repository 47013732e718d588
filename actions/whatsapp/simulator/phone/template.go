package phone

import (
	"cmp"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"facteur/actions/whatsapp/templates"
	"facteur/flow/schema"
)

// Template draws a template that is filled in by a message, the object that stands under
// `template`.
func Template(d *templates.Definition, message map[string]any) Bubble {
	b := Bubble{Kind: "template"}
	b.template(d, schema.NewValue(message, nil))
	return b
}

// template draws a template with its real text where it is known, else with what it was given.
func (b *Bubble) template(d *templates.Definition, v schema.Value) {
	if d == nil {
		b.unknownTemplate(v)
		return
	}
	b.drawComponents(schema.NewValue(d.Components, nil), v.Get("components"), d.Category == "AUTHENTICATION")
}

// unknownTemplate draws a template that is not known. Of its buttons, the quick replies that it was
// given payloads for can be pressed; what they say is not known, either.
func (b *Bubble) unknownTemplate(v schema.Value) {
	b.Label = fmt.Sprintf("Template %s (%s)", textOf(v.Get("name")), textOf(v.Get("language", "code")))
	for _, c := range v.Get("components").Items() {
		part := strings.ToLower(textOf(c.Get("type")))
		if part == "button" {
			if strings.EqualFold(textOf(c.Get("sub_type")), "quick_reply") {
				payload := parameterText(c.Get("parameters").Index(0))
				b.Buttons = append(b.Buttons, Button{Kind: "quick_reply", Title: payload, ID: payload})
				continue
			}
			part += " " + textOf(c.Get("index"))
		}
		for i, p := range c.Get("parameters").Items() {
			if kind := textOf(p.Get("type")); kind == "image" || kind == "video" || kind == "document" {
				b.Media = media(kind, p.Get(kind))
				continue
			}
			b.Facts = append(b.Facts, Fact{part + " " + cmp.Or(textOf(p.Get("parameter_name")), strconv.Itoa(i+1)), parameterText(p)})
		}
		if cards := c.Get("cards").Items(); len(cards) > 0 {
			b.Facts = append(b.Facts, Fact{"cards", strconv.Itoa(len(cards))})
		}
	}
}

// drawComponents draws the components of a template, filled in.
func (b *Bubble) drawComponents(components, with schema.Value, code bool) {
	given := map[string]schema.Value{} // by the component that it fills in; buttons by their index, too
	for _, c := range with.Items() {
		part := strings.ToLower(textOf(c.Get("type")))
		if part == "button" {
			part += cmp.Or(textOf(c.Get("index")), "0")
		}
		given[part] = c
	}
	for _, c := range components.Items() {
		part := strings.ToLower(textOf(c.Get("type")))
		switch part {
		case "header":
			b.heading(c, given[part])
		case "body":
			b.Text = substitute(bodyText(c, code), given[part].Get("parameters"))
		case "footer":
			b.Footer = textOf(c.Get("text"))
			if minutes := textOf(c.Get("code_expiration_minutes")); minutes != "" {
				b.Footer = "This code expires in " + minutes + " minutes."
			}
		case "limited_time_offer":
			b.limitedTimeOffer(c, given[part])
		case "buttons":
			for i, button := range c.Get("buttons").Items() {
				b.Buttons = append(b.Buttons, templateButton(button, given["button"+strconv.Itoa(i)]))
			}
		case "carousel":
			b.carousel(c.Get("cards").Items(), given[part].Get("cards").Items())
		}
	}
}

// bodyText is the text of a body, of which templates for codes only say what it is about.
func bodyText(c schema.Value, code bool) string {
	text := textOf(c.Get("text"))
	if !code || strings.Contains(text, "{{") {
		return text
	}
	text = "*{{1}}* is your verification code."
	if more, _ := c.Get("add_security_recommendation").Bool(); more {
		text += " For your security, do not share this code."
	}
	return text
}

// carousel draws cards; the last of the template stands for those that it lacks.
func (b *Bubble) carousel(cards, given []schema.Value) {
	if len(cards) == 0 {
		return
	}
	for i, card := range given {
		drawn := Bubble{Kind: "card"}
		drawn.drawComponents(cards[min(i, len(cards)-1)].Get("components"), card.Get("components"), false)
		b.Cards = append(b.Cards, drawn)
	}
}

func (b *Bubble) heading(c, with schema.Value) {
	p := with.Get("parameters").Index(0)
	switch format := strings.ToLower(cmp.Or(textOf(c.Get("format")), "text")); format {
	case "text":
		b.Header = substitute(textOf(c.Get("text")), with.Get("parameters"))
	case "location":
		b.Place = place(p.Get("location"))
	case "product":
		b.Label, b.Facts = "Product", facts(p.Get("product"), "product_retailer_id", "catalog_id")
	default:
		b.Media = media(strings.Replace(format, "gif", "video", 1), p.Get(strings.ToLower(textOf(p.Get("type")))))
	}
}

func (b *Bubble) limitedTimeOffer(c, with schema.Value) {
	b.Label = textOf(c.Get("limited_time_offer", "text"))
	v := with.Get("parameters").Index(0).Get("limited_time_offer", "expiration_time_ms")
	if !v.Present() {
		v = with.Get("limited_time_offer", "expiration_time_ms")
	}
	if ms, ok := v.Number(); ok {
		b.Facts = append(b.Facts, Fact{"ends", time.UnixMilli(int64(ms)).UTC().Format("2 Jan 2006, 15:04 UTC")})
	}
}

// templateButton draws a button of a template.
func templateButton(c, with schema.Value) Button {
	title := textOf(c.Get("text"))
	p := with.Get("parameters").Index(0)
	switch strings.ToUpper(textOf(c.Get("type"))) {
	case "QUICK_REPLY":
		return Button{Kind: "quick_reply", Title: title, ID: cmp.Or(textOf(p.Get("payload")), title)}
	case "URL":
		return Button{Kind: "url", Title: title, URL: substitute(textOf(c.Get("url")), with.Get("parameters"))}
	case "PHONE_NUMBER":
		return Button{Kind: "phone", Title: title, URL: "tel:" + textOf(c.Get("phone_number"))}
	case "COPY_CODE":
		return Button{Kind: "copy", Title: cmp.Or(title, "Copy code"), ID: textOf(p.Get("coupon_code"))}
	case "OTP":
		return Button{Kind: "copy", Title: cmp.Or(title, "Copy code"), ID: textOf(p.Get("text"))}
	case "FLOW":
		return Button{Kind: "flow", Title: title, ID: textOf(p.Get("action", "flow_token"))}
	}
	for _, plain := range plainButtons {
		if strings.EqualFold(textOf(c.Get("type")), plain.kind) {
			return Button{Kind: plain.draws, Title: cmp.Or(title, plain.title)}
		}
	}
	return Button{Kind: "other", Title: title}
}

// plainButtons are the buttons of templates that take nothing from the message.
var plainButtons = [...]struct{ kind, draws, title string }{
	{"CATALOG", "catalog", "View catalogue"},
	{"MPM", "products", "View items"},
	{"VOICE_CALL", "call", "Call Now"},
	{"ORDER_DETAILS", "pay", "Review and pay"},
	{"PAYMENT_REQUEST", "pay", "Pay"},
	{"REQUEST_CONTACT_INFO", "contact_info", "Share contact info"},
}

var placeholder = regexp.MustCompile(`\{\{\s*([0-9A-Za-z_]+)\s*\}\}`)

// substitute fills parameters into a text: by name, or by number.
func substitute(text string, parameters schema.Value) string {
	items := parameters.Items()
	return placeholder.ReplaceAllStringFunc(text, func(place string) string {
		name := placeholder.FindStringSubmatch(place)[1]
		for _, p := range items {
			if textOf(p.Get("parameter_name")) == name {
				return parameterText(p)
			}
		}
		if i, err := strconv.Atoi(name); err == nil && i >= 1 && i <= len(items) {
			return parameterText(items[i-1])
		}
		return place
	})
}

// parameterText is what a parameter reads.
func parameterText(p schema.Value) string {
	switch kind := strings.ToLower(textOf(p.Get("type"))); kind {
	case "currency", "date_time":
		return textOf(p.Get(kind, "fallback_value"))
	case "payload", "coupon_code", "text":
		return textOf(p.Get(kind))
	default:
		return kind
	}
}
