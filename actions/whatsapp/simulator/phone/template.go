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

// template draws a template message with its real text, where the template is known;
// else with what it was given.
func (b *Bubble) template(m Message, v schema.Value) {
	if m.Template == nil {
		b.strange(v)
		return
	}
	b.hydrate(m.Template, v)
}

// Template draws a template that is filled in by a message, the object that stands under
// `template`.
func Template(d *templates.Definition, message map[string]any) Bubble {
	b := Bubble{Kind: "template"}
	b.hydrate(d, schema.NewValue(message, nil))
	return b
}

func (b *Bubble) hydrate(d *templates.Definition, v schema.Value) {
	b.parts(schema.NewValue(d.Components, nil), v.Get("components"), d.Category == "AUTHENTICATION")
}

// strange draws a template that is not known. Of its buttons, the quick replies that it was
// given payloads for can be pressed; what they say is not known, either.
func (b *Bubble) strange(v schema.Value) {
	b.Label = fmt.Sprintf("Template %s (%s)", word(v.Get("name")), word(v.Get("language", "code")))
	for _, c := range v.Get("components").Items() {
		part := strings.ToLower(word(c.Get("type")))
		if part == "button" {
			if strings.EqualFold(word(c.Get("sub_type")), "quick_reply") {
				payload := filled(c.Get("parameters").Index(0))
				b.Buttons = append(b.Buttons, Button{Kind: "quick_reply", Title: payload, ID: payload})
				continue
			}
			part += " " + word(c.Get("index"))
		}
		for i, p := range c.Get("parameters").Items() {
			if kind := word(p.Get("type")); kind == "image" || kind == "video" || kind == "document" {
				b.Media = media(kind, p.Get(kind))
				continue
			}
			b.Facts = append(b.Facts, Fact{part + " " + cmp.Or(word(p.Get("parameter_name")), strconv.Itoa(i+1)), filled(p)})
		}
		if cards := c.Get("cards").Items(); len(cards) > 0 {
			b.Facts = append(b.Facts, Fact{"cards", strconv.Itoa(len(cards))})
		}
	}
}

// given are the components of a message by what they fill in.
type given struct {
	header, body, carousel, offer schema.Value
	buttons                       map[string]schema.Value
}

func sortOut(components schema.Value) given {
	none := schema.NewValue(nil, nil).Get("none")
	g := given{none, none, none, none, map[string]schema.Value{}}
	for _, c := range components.Items() {
		switch strings.ToLower(word(c.Get("type"))) {
		case "header":
			g.header = c
		case "body":
			g.body = c
		case "carousel":
			g.carousel = c
		case "limited_time_offer":
			g.offer = c
		case "button":
			g.buttons[cmp.Or(word(c.Get("index")), "0")] = c
		}
	}
	return g
}

// parts draws the components of a template, filled in.
func (b *Bubble) parts(components, with schema.Value, code bool) {
	g := sortOut(with)
	for _, c := range components.Items() {
		switch strings.ToUpper(word(c.Get("type"))) {
		case "HEADER":
			b.heading(c, g.header)
		case "BODY":
			text := word(c.Get("text"))
			if code && !strings.Contains(text, "{{") {
				text = "*{{1}}* is your verification code."
				if more, _ := c.Get("add_security_recommendation").Bool(); more {
					text += " For your security, do not share this code."
				}
			}
			b.Text = hydrated(text, g.body.Get("parameters"))
		case "FOOTER":
			b.Footer = word(c.Get("text"))
			if minutes := word(c.Get("code_expiration_minutes")); minutes != "" {
				b.Footer = "This code expires in " + minutes + " minutes."
			}
		case "LIMITED_TIME_OFFER":
			b.offer(c, g.offer)
		case "BUTTONS":
			for i, button := range c.Get("buttons").Items() {
				b.Buttons = append(b.Buttons, pressed(button, g.buttons[strconv.Itoa(i)]))
			}
		case "CAROUSEL":
			cards := c.Get("cards").Items()
			for i, card := range g.carousel.Get("cards").Items() {
				if len(cards) == 0 {
					break
				}
				drawn := Bubble{Kind: "card"}
				drawn.parts(cards[min(i, len(cards)-1)].Get("components"), card.Get("components"), false)
				b.Cards = append(b.Cards, drawn)
			}
		}
	}
}

func (b *Bubble) heading(c, with schema.Value) {
	p := with.Get("parameters").Index(0)
	switch format := strings.ToLower(cmp.Or(word(c.Get("format")), "text")); format {
	case "text":
		b.Header = hydrated(word(c.Get("text")), with.Get("parameters"))
	case "location":
		b.Place = place(p.Get("location"))
	case "product":
		b.Label, b.Facts = "Product", facts(p.Get("product"), "product_retailer_id", "catalog_id")
	default:
		b.Media = media(strings.Replace(format, "gif", "video", 1), p.Get(strings.ToLower(word(p.Get("type")))))
	}
}

func (b *Bubble) offer(c, with schema.Value) {
	b.Label = word(c.Get("limited_time_offer", "text"))
	v := with.Get("parameters").Index(0).Get("limited_time_offer", "expiration_time_ms")
	if !v.Present() {
		v = with.Get("limited_time_offer", "expiration_time_ms")
	}
	if ms, ok := v.Number(); ok {
		b.Facts = append(b.Facts, Fact{"ends", time.UnixMilli(int64(ms)).UTC().Format("2 Jan 2006, 15:04 UTC")})
	}
}

// pressed draws a button of a template.
func pressed(c, with schema.Value) Button {
	title := word(c.Get("text"))
	p := with.Get("parameters").Index(0)
	switch kind := strings.ToUpper(word(c.Get("type"))); kind {
	case "QUICK_REPLY":
		return Button{Kind: "quick_reply", Title: title, ID: cmp.Or(word(p.Get("payload")), title)}
	case "URL":
		return Button{Kind: "url", Title: title, URL: hydrated(word(c.Get("url")), with.Get("parameters"))}
	case "PHONE_NUMBER":
		return Button{Kind: "phone", Title: title, URL: "tel:" + word(c.Get("phone_number"))}
	case "COPY_CODE":
		return Button{Kind: "copy", Title: cmp.Or(title, "Copy code"), ID: word(p.Get("coupon_code"))}
	case "OTP":
		return Button{Kind: "copy", Title: cmp.Or(title, "Copy code"), ID: word(p.Get("text"))}
	case "FLOW":
		return Button{Kind: "flow", Title: title, ID: word(p.Get("action", "flow_token"))}
	case "CATALOG":
		return Button{Kind: "catalog", Title: cmp.Or(title, "View catalogue")}
	case "MPM":
		return Button{Kind: "products", Title: cmp.Or(title, "View items")}
	case "VOICE_CALL":
		return Button{Kind: "call", Title: cmp.Or(title, "Call Now")}
	case "ORDER_DETAILS":
		return Button{Kind: "pay", Title: cmp.Or(title, "Review and pay")}
	case "PAYMENT_REQUEST":
		return Button{Kind: "pay", Title: cmp.Or(title, "Pay")}
	case "REQUEST_CONTACT_INFO":
		return Button{Kind: "contact_info", Title: cmp.Or(title, "Share contact info")}
	}
	return Button{Kind: "other", Title: title}
}

var placeholder = regexp.MustCompile(`\{\{\s*([0-9A-Za-z_]+)\s*\}\}`)

// hydrated fills parameters into a text: by name, or by number.
func hydrated(text string, parameters schema.Value) string {
	items := parameters.Items()
	return placeholder.ReplaceAllStringFunc(text, func(place string) string {
		name := placeholder.FindStringSubmatch(place)[1]
		for _, p := range items {
			if word(p.Get("parameter_name")) == name {
				return filled(p)
			}
		}
		if i, err := strconv.Atoi(name); err == nil && i >= 1 && i <= len(items) {
			return filled(items[i-1])
		}
		return place
	})
}

// filled is what a parameter reads.
func filled(p schema.Value) string {
	switch kind := strings.ToLower(word(p.Get("type"))); kind {
	case "currency", "date_time":
		return word(p.Get(kind, "fallback_value"))
	case "payload", "coupon_code", "text":
		return word(p.Get(kind))
	default:
		return kind
	}
}
