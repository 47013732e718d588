package templates

import (
	"cmp"
	"regexp"
	"slices"
	"strings"
	"sync"

	"facteur/actions/whatsapp/graph"
	"facteur/flow/schema"
)

// A templateShape is what a message has to fill in: in a template, or on a card of its
// carousel.
type templateShape struct {
	header  string   // TEXT, IMAGE, VIDEO, DOCUMENT, LOCATION, GIF, PRODUCT; "" for none
	title   []string // what a header of text is filled in with, by name or number
	body    []string // what the body is filled in with
	hasBody bool
	buttons []buttonShape
	cards   []templateShape
	offer   bool // an offer that ends, so the message says when
}

// A buttonShape is a button of a template.
type buttonShape struct {
	kind   string   // QUICK_REPLY, URL …
	filled []string // what a URL is filled in with
}

// A buttonForm is how a message fills in a button of a template. A button without a parameter is not
// mentioned in messages.
type buttonForm struct {
	subType   string
	parameter string // its type
	required  bool
}

// buttonForms has the form of each kind of button.
var buttonForms = sync.OnceValue(func() map[string]buttonForm {
	return map[string]buttonForm{
		"QUICK_REPLY":          {"quick_reply", "payload", false},
		"URL":                  {"url", "text", true}, // where it has something to fill in
		"OTP":                  {"url", "text", true},
		"COPY_CODE":            {"copy_code", "coupon_code", true},
		"CATALOG":              {"catalog", "action", false},
		"MPM":                  {"mpm", "action", true},
		"FLOW":                 {"flow", "action", false},
		"VOICE_CALL":           {"voice_call", "", false},
		"ORDER_DETAILS":        {"order_details", "action", true},
		"PAYMENT_REQUEST":      {"payment_request", "action", true},
		"PHONE_NUMBER":         {},
		"REQUEST_CONTACT_INFO": {},
	}
})

// needsParameter tells whether a message must mention the button.
func (b buttonShape) needsParameter() bool {
	return buttonForms()[b.kind].required && (b.kind != "URL" || len(b.filled) > 0)
}

func templateShapeOf(components []any) templateShape {
	var s templateShape
	for _, c := range graph.Many(schema.NewValue(components, nil)) {
		switch strings.ToUpper(graph.Word(c.Get("type"))) {
		case "HEADER":
			s.header = cmp.Or(strings.ToUpper(graph.Word(c.Get("format"))), "TEXT")
			if s.header == "TEXT" {
				s.title = placeholders(graph.Word(c.Get("text")))
			}
		case "BODY":
			s.hasBody, s.body = true, placeholders(graph.Word(c.Get("text")))
		case "BUTTONS":
			for _, b := range graph.Many(c.Get("buttons")) {
				s.buttons = append(s.buttons, buttonShapeOf(b))
			}
		case "CAROUSEL":
			for _, card := range graph.Many(c.Get("cards")) {
				parts, _ := card.Get("components").List()
				s.cards = append(s.cards, templateShapeOf(parts))
			}
		case "LIMITED_TIME_OFFER":
			s.offer, _ = c.Get("limited_time_offer", "has_expiration").Bool()
		}
	}
	return s
}

func buttonShapeOf(b schema.Value) buttonShape {
	shape := buttonShape{kind: strings.ToUpper(graph.Word(b.Get("type")))}
	if shape.kind == "URL" {
		shape.filled = placeholders(graph.Word(b.Get("url")))
	}
	return shape
}

var placeholder = regexp.MustCompile(`\{\{\s*([0-9A-Za-z_]+)\s*\}\}`)

// placeholders lists what a text is filled in with, each once: numbers by their value,
// names in their order.
func placeholders(text string) []string {
	var found []string
	for _, m := range placeholder.FindAllStringSubmatch(text, -1) {
		if !slices.Contains(found, m[1]) {
			found = append(found, m[1])
		}
	}
	slices.SortStableFunc(found, func(a, b string) int {
		if !isNumber(a) || !isNumber(b) {
			return 0
		}
		return cmp.Or(len(a)-len(b), strings.Compare(a, b))
	})
	return found
}

// isNumber tells a place that is numbered from one that is named.
func isNumber(place string) bool { return strings.Trim(place, "0123456789") == "" }

// ofProducts tells a carousel of products: its cards are alike, and a message has as many
// as it likes.
func (s templateShape) ofProducts() bool { return len(s.cards) > 0 && s.cards[0].header == "PRODUCT" }
