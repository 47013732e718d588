// Package phone describes how a phone shows a message: the content of its Bubble, and the formatting
// of its texts (Lines). Pages and terminals draw that, each in its way.
package phone

import (
	"cmp"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"facteur/actions"
	"facteur/actions/whatsapp/graph"
	"facteur/actions/whatsapp/templates"
	"facteur/flow/schema"
)

// A Bubble is a message as a phone shows it. Texts hold WhatsApp's marks: *bold*,
// _italic_, ~strike~, ```mono```.
type Bubble struct {
	Kind     string    // the message type, or the kind of an interactive message
	Label    string    // of what is drawn as a card: "Product", "WhatsApp Flow"
	Header   string    // in bold above the text
	Media    *Media    // above the text
	Text     string    // the body, or a caption
	Footer   string    // small, below the text
	Place    *Place    // a card with a map
	Contacts []Contact // contact cards
	Facts    []Fact    // of a card, in their order
	Buttons  []Button  // below the bubble
	List     *List     // opens from a button
	Cards    []Bubble  // side by side
	Emoji    string    // of a reaction
	Target   string    // of a reaction: the message
	Quote    string    // the message that this one answers
}

// Media is a file in a message.
type Media struct {
	Kind  string // image, video, audio, document, sticker, gif
	ID    string // of an upload
	Link  string
	Name  string // of a document
	Voice bool
	Here  bool // the upload is here, and a browser can show it
}

// A Place is a location.
type Place struct{ Name, Address, Latitude, Longitude string }

// A Contact is a contact card.
type Contact struct {
	Name, Detail string
	Lines        []Fact
	WaID         string // of somebody who can be written to
}

// A Fact is a line of a card.
type Fact struct{ Name, Value string }

// A Button is something to press.
type Button struct {
	Kind  string // reply, quick_reply, url, phone, copy, flow, catalog, products, call, location, permission, address, contact_info, pay, review
	Title string
	ID    string // what comes back: an id or a payload
	URL   string
}

// Answers reports whether pressing the button sends a message.
func (b Button) Answers() bool {
	switch b.Kind {
	case "reply", "quick_reply", "flow", "location", "permission", "address", "contact_info":
		return true
	}
	return false
}

// A List is what a list message opens.
type List struct {
	Button   string
	Sections []Section
}

// A Section is a group of rows.
type Section struct {
	Title string
	Rows  []Row
}

// A Row is something to choose.
type Row struct{ ID, Title, Description string }

// A Message is what is drawn.
type Message struct {
	Type     string                // that of the message
	Inbound  bool                  // from a person; else to one
	Body     []byte                // JSON: of the request, or what webhooks tell
	Template *templates.Definition // of a template message: its template, where it is known
}

// Bubble draws the message.
func (m Message) Bubble() Bubble {
	v, err := actions.DecodeJSON(m.Body)
	if err != nil {
		return Bubble{Kind: m.Type}
	}
	body := schema.NewValue(v, nil)
	b := Bubble{Kind: m.Type}
	b.Quote = textOf(body.Get("context", "message_id"))
	if m.Inbound {
		b.Quote = textOf(body.Get("context", "id"))
	}
	b.fill(m, body.Get(m.Type))
	return b
}

func (b *Bubble) fill(m Message, v schema.Value) {
	switch b.Kind {
	case "text":
		b.Text = textOf(v.Get("body"))
	case "image", "video", "audio", "document", "sticker":
		b.Media, b.Text = media(b.Kind, v), textOf(v.Get("caption"))
	case "location":
		b.Place = place(v)
	case "contacts":
		for _, c := range v.Items() {
			b.Contacts = append(b.Contacts, contact(c))
		}
	case "reaction":
		b.Emoji, b.Target = textOf(v.Get("emoji")), textOf(v.Get("message_id"))
	case "template":
		b.template(m.Template, v)
	case "interactive":
		if m.Inbound {
			b.reply(v)
		} else {
			b.interactive(v)
		}
	case "button":
		b.Text = textOf(v.Get("text"))
	case "order":
		b.order(v)
	case "pin":
		b.Label, b.Facts = "Pinned message", facts(v, "type", "message_id", "expiration_days")
	case "system":
		b.Label, b.Text = "System", textOf(v.Get("body"))
	default:
		b.Label = "Message of type " + b.Kind
	}
}

// textOf reads a text, or a number or boolean as one.
func textOf(v schema.Value) string {
	if b, ok := v.Bool(); ok {
		return strconv.FormatBool(b)
	}
	return graph.Word(v)
}

func media(kind string, v schema.Value) *Media {
	voice, _ := v.Get("voice").Bool()
	return &Media{Kind: kind, ID: textOf(v.Get("id")), Link: textOf(v.Get("link")), Name: textOf(v.Get("filename")), Voice: voice}
}

func place(v schema.Value) *Place {
	return &Place{textOf(v.Get("name")), textOf(v.Get("address")), textOf(v.Get("latitude")), textOf(v.Get("longitude"))}
}

func contact(v schema.Value) Contact {
	c := Contact{Name: textOf(v.Get("name", "formatted_name"))}
	c.Detail = strings.Trim(textOf(v.Get("org", "title"))+", "+textOf(v.Get("org", "company")), ", ")
	add := func(kind, value string) {
		if value != "" {
			c.Lines = append(c.Lines, Fact{strings.ToLower(kind), value})
		}
	}
	for _, list := range [...]struct{ name, value, kind string }{{"phones", "phone", "phone"}, {"emails", "email", "email"}, {"urls", "url", "web"}} {
		for _, item := range v.Get(list.name).Items() {
			add(cmp.Or(textOf(item.Get("type")), list.kind), textOf(item.Get(list.value)))
			c.WaID = cmp.Or(c.WaID, textOf(item.Get("wa_id")))
		}
	}
	for _, p := range v.Get("addresses").Items() {
		var parts []string
		for _, name := range []string{"street", "zip", "city", "state", "country"} {
			if text := textOf(p.Get(name)); text != "" {
				parts = append(parts, text)
			}
		}
		add(cmp.Or(textOf(p.Get("type")), "address"), strings.Join(parts, ", "))
	}
	add("birthday", textOf(v.Get("birthday")))
	return c
}

// facts returns the existing fields of an object.
func facts(v schema.Value, names ...string) []Fact {
	var out []Fact
	for _, name := range names {
		path := strings.Split(name, ".")
		if text := textOf(v.Get(path...)); text != "" {
			out = append(out, Fact{strings.ReplaceAll(path[len(path)-1], "_", " "), text})
		}
	}
	return out
}

// reply draws a person's choice or filled form.
func (b *Bubble) reply(v schema.Value) {
	switch textOf(v.Get("type")) {
	case "button_reply":
		b.Text = textOf(v.Get("button_reply", "title"))
	case "list_reply":
		b.Text = textOf(v.Get("list_reply", "title"))
		if more := textOf(v.Get("list_reply", "description")); more != "" {
			b.Text += "\n" + more
		}
	case "nfm_reply":
		b.Label, b.Text = "Filled in", textOf(v.Get("nfm_reply", "body"))
		var filled map[string]any
		if json.Unmarshal([]byte(textOf(v.Get("nfm_reply", "response_json"))), &filled) == nil {
			for _, name := range schema.NewValue(filled, nil).Keys() {
				b.Facts = append(b.Facts, Fact{name, fmt.Sprint(filled[name])})
			}
		}
	case "call_permission_reply":
		b.Label, b.Facts = "Permission to call", facts(v.Get("call_permission_reply"), "response")
	}
}

func (b *Bubble) order(v schema.Value) {
	b.Label, b.Text = "Cart", textOf(v.Get("text"))
	for _, item := range v.Get("product_items").Items() {
		b.Facts = append(b.Facts, Fact{textOf(item.Get("product_retailer_id")),
			textOf(item.Get("quantity")) + " × " + textOf(item.Get("item_price")) + " " + textOf(item.Get("currency"))})
	}
}

// Summary is a message in a few words, on one line.
func (b Bubble) Summary() []Span {
	plain := b.Label
	switch {
	case b.Emoji != "":
		plain = "Reacted " + b.Emoji
	case b.Text != "":
		return abbreviate(b.Text)
	case b.Header != "":
		plain = b.Header
	case b.Label != "":
	case b.Media != nil:
		plain = strings.ToUpper(b.Media.Kind[:1]) + b.Media.Kind[1:]
	case b.Place != nil:
		plain = "Location"
	case len(b.Contacts) > 0:
		plain = "Contact: " + b.Contacts[0].Name
	default:
		plain = b.Kind
	}
	return truncate([]Span{{Text: plain}})
}
