package whatsapp

import (
	"sync"

	"facteur/flow/schema"
)

// The message types whose name the code needs.
const (
	templateType    = "template"
	interactiveType = "interactive"
	reactionType    = "reaction"

	messageTypes = "audio contacts document image interactive location reaction sticker template text video"
)

// A Message is the object of a message in Meta's own form, e.g. a Text or a Template.
// Its schema depends on message_type.
type Message struct{ value any }

// SchemaType returns the union of the schemas of all message types.
func (Message) SchemaType() *schema.Type { return messageSchema() }

// DecodeValue keeps the value: once the schema has accepted it, it is sent unchanged.
func (m *Message) DecodeValue(v any) error { m.value = v; return nil }

// EncodeValue returns the value.
func (m Message) EncodeValue() any { return m.value }

// messageSchema is the union of all message types, with their limits.
var messageSchema = sync.OnceValue(func() *schema.Type {
	union := &schema.Type{Kind: schema.Union, Tag: "message_type", Doc: "the message, in Meta's own form"}
	shapes := schema.Of[Messages]()
	for _, f := range shapes.Fields {
		on := append([]string{f.Name}, kindsOf(f.Name)...)
		of := *withLimits(f.Type, on...)
		if of.Doc == "" {
			of.Doc = f.Doc
		}
		of.DetectMistake = detectOnPremisesFields(f.Name)
		union.Cases = append(union.Cases, schema.Case{Value: f.Name, Type: detectMistakes(&of, f.Name)})
	}
	union.DetectMistake = messageMistakes
	return union
})

// kindsOf returns the kinds of a message type that rules may be on, e.g.
// "interactive/list"; only interactive messages have kinds.
func kindsOf(messageType string) []string {
	if messageType != interactiveType {
		return nil
	}
	var kinds []string
	for _, c := range actionSchema().Cases {
		kinds = append(kinds, interactiveType+"/"+c.Value)
	}
	return kinds
}

// Messages has one field for each message type.
type Messages struct {
	Audio       *Audio       `json:"audio,omitempty"`
	Contacts    []Contact    `json:"contacts,omitempty" doc:"the cards, 1 to 257"`
	Document    *Document    `json:"document,omitempty"`
	Image       *Image       `json:"image,omitempty"`
	Interactive *Interactive `json:"interactive,omitempty"`
	Location    *Location    `json:"location,omitempty"`
	Reaction    *Reaction    `json:"reaction,omitempty"`
	Sticker     *Media       `json:"sticker,omitempty"`
	Template    *Template    `json:"template,omitempty"`
	Text        *Text        `json:"text,omitempty"`
	Video       *Video       `json:"video,omitempty"`
}

// A Text is a message of text.
type Text struct {
	Body       string `json:"body" schema:"required" doc:"the text, up to 4096 characters; *bold*, _italic_, ~strike~ and links work"`
	PreviewURL bool   `json:"preview_url,omitempty" doc:"show a preview of the first link"`
}

// Media is a file, given by either its id or a link.
type Media struct {
	ID   string `json:"id,omitempty" doc:"the id of an uploaded file, valid for 30 days"`
	Link string `json:"link,omitempty" doc:"a public address of the file, http or https; Meta keeps it for 10 minutes"`
}

// An Image is a JPEG or PNG of up to 5 MB.
type Image struct {
	Media
	Caption string `json:"caption,omitempty" doc:"text shown below it, up to 1024 characters"`
}

// A Video is an MP4 or 3GPP of up to 16 MB.
type Video struct {
	Media
	Caption string `json:"caption,omitempty" doc:"text shown below it, up to 1024 characters"`
}

// A Document is any file of up to 100 MB.
type Document struct {
	Media
	Caption  string `json:"caption,omitempty" doc:"text shown below it, up to 1024 characters"`
	Filename string `json:"filename,omitempty" doc:"the file name shown; its extension determines the icon"`
}

// An Audio is a sound of up to 16 MB.
type Audio struct {
	Media
	Voice bool `json:"voice,omitempty" doc:"a voice note: an .ogg file with the OPUS codec, mono"`
}

// A Location is a place on a map.
type Location struct {
	Latitude  any    `json:"latitude" schema:"required" doc:"degrees north, -90 to 90: a number, or text that contains one"`
	Longitude any    `json:"longitude" schema:"required" doc:"degrees east, -180 to 180: a number, or text that contains one"`
	Name      string `json:"name,omitempty" doc:"the name of the place"`
	Address   string `json:"address,omitempty" doc:"shown only with a name"`
}

// A Reaction puts an emoji on a message.
type Reaction struct {
	MessageID string `json:"message_id" schema:"required" doc:"the id (wamid) of the message, at most 30 days old"`
	Emoji     string `json:"emoji" schema:"required" doc:"one emoji; \"\" removes the reaction"`
}

// A Contact is a card.
type Contact struct {
	Name      ContactName      `json:"name" schema:"required" doc:"the contact's name"`
	Phones    []ContactPhone   `json:"phones,omitempty" doc:"phone numbers"`
	Emails    []ContactEmail   `json:"emails,omitempty" doc:"email addresses"`
	Addresses []ContactAddress `json:"addresses,omitempty" doc:"postal addresses"`
	Org       *ContactOrg      `json:"org,omitempty" doc:"where the contact works"`
	URLs      []ContactURL     `json:"urls,omitempty" doc:"web pages"`
	Birthday  string           `json:"birthday,omitempty" doc:"YYYY-MM-DD"`
}

// A ContactName is the name on a card.
type ContactName struct {
	FormattedName string `json:"formatted_name" schema:"required" doc:"the full name"`
	FirstName     string `json:"first_name,omitempty"`
	LastName      string `json:"last_name,omitempty"`
	MiddleName    string `json:"middle_name,omitempty"`
	Prefix        string `json:"prefix,omitempty"`
	Suffix        string `json:"suffix,omitempty"`
}

// A ContactPhone is a number on a card.
type ContactPhone struct {
	Phone string `json:"phone,omitempty" doc:"the number as it is shown"`
	Type  string `json:"type,omitempty" doc:"such as CELL, MAIN, HOME, WORK"`
	WaID  string `json:"wa_id,omitempty" doc:"digits; adds a button to the card to write to the contact"`
}

// A ContactEmail is an email address on a card.
type ContactEmail struct {
	Email string `json:"email,omitempty"`
	Type  string `json:"type,omitempty" doc:"such as HOME, WORK"`
}

// A ContactAddress is a postal address on a card.
type ContactAddress struct {
	Street      string `json:"street,omitempty"`
	City        string `json:"city,omitempty"`
	State       string `json:"state,omitempty"`
	Zip         string `json:"zip,omitempty"`
	Country     string `json:"country,omitempty"`
	CountryCode string `json:"country_code,omitempty" doc:"two letters, ISO 3166"`
	Type        string `json:"type,omitempty" doc:"such as HOME, WORK"`
}

// A ContactOrg is where a contact works.
type ContactOrg struct {
	Company    string `json:"company,omitempty"`
	Department string `json:"department,omitempty"`
	Title      string `json:"title,omitempty"`
}

// A ContactURL is a web page on a card.
type ContactURL struct {
	URL  string `json:"url,omitempty"`
	Type string `json:"type,omitempty" doc:"such as HOME, WORK"`
}
