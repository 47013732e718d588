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
)

// A Message is the object of a message in Meta's own form, e.g. a Text or a Template.
// Its shape follows message_type.
type Message struct{ value any }

// SchemaType is the union of all shapes.
func (Message) SchemaType() *schema.Type { return messageSchema() }

// DecodeValue keeps the value: it goes out as it is, once its schema has let it pass.
func (m *Message) DecodeValue(v any) error { m.value = v; return nil }

// EncodeValue returns the value.
func (m Message) EncodeValue() any { return m.value }

var messageSchema = sync.OnceValue(func() *schema.Type {
	return &schema.Type{Kind: schema.Union, Tag: "message_type", Doc: "the message, in Meta's own form", Cases: []schema.Case{
		{Value: "audio", Type: schema.Of[Audio]()},
		{Value: "contacts", Type: contactsSchema()},
		{Value: "document", Type: schema.Of[Document]()},
		{Value: "image", Type: schema.Of[Image]()},
		{Value: interactiveType, Type: schema.Of[Interactive]()},
		{Value: "location", Type: schema.Of[Location]()},
		{Value: reactionType, Type: schema.Of[Reaction]()},
		{Value: "sticker", Type: schema.Of[Media]()},
		{Value: templateType, Type: schema.Of[Template]()},
		{Value: "text", Type: schema.Of[Text]()},
		{Value: "video", Type: schema.Of[Video]()},
	}}
})

func contactsSchema() *schema.Type {
	t := schema.ListOf(schema.Of[Contact]())
	t.MinItems, t.MaxItems = 1, 257
	t.Doc = "the cards, 1 to 257"
	return t
}

// A Text is a message of text.
type Text struct {
	Body       string `json:"body" schema:"required,minLength=1,maxLength=4096" doc:"the text, up to 4096 characters; *bold*, _italic_, ~strike~ and links work"`
	PreviewURL bool   `json:"preview_url,omitempty" doc:"show a preview of the first link"`
}

// Media is a file, by one of id and link.
type Media struct {
	ID   string `json:"id,omitempty" schema:"minLength=1" doc:"the id of a file that was uploaded; it lives 30 days"`
	Link string `json:"link,omitempty" schema:"pattern=^[Hh][Tt][Tt][Pp][Ss]?://" doc:"a public address of the file, http or https; Meta keeps it for 10 minutes"`
}

// An Image is a JPEG or PNG of up to 5 MB.
type Image struct {
	Media
	Caption string `json:"caption,omitempty" schema:"maxLength=1024" doc:"a text below it, up to 1024 characters"`
}

// A Video is an MP4 or 3GPP of up to 16 MB.
type Video struct {
	Media
	Caption string `json:"caption,omitempty" schema:"maxLength=1024" doc:"a text below it, up to 1024 characters"`
}

// A Document is any file of up to 100 MB.
type Document struct {
	Media
	Caption  string `json:"caption,omitempty" schema:"maxLength=1024" doc:"a text below it, up to 1024 characters"`
	Filename string `json:"filename,omitempty" schema:"minLength=1" doc:"the name that is shown; its extension decides the icon"`
}

// An Audio is a sound of up to 16 MB.
type Audio struct {
	Media
	Voice bool `json:"voice,omitempty" doc:"a voice note: an .ogg file with the OPUS codec, mono"`
}

// A Location is a place on a map.
type Location struct {
	Latitude  Degrees `json:"latitude" schema:"required" doc:"degrees north, -90 to 90"`
	Longitude Degrees `json:"longitude" schema:"required" doc:"degrees east, -180 to 180"`
	Name      string  `json:"name,omitempty" doc:"what the place is called"`
	Address   string  `json:"address,omitempty" doc:"shown only with a name"`
}

// Degrees is a number, or a text that holds one.
type Degrees struct{}

// SchemaType lets anything pass; the rules see to the rest.
func (Degrees) SchemaType() *schema.Type { return schema.AnyType }

// A Reaction puts an emoji on a message.
type Reaction struct {
	MessageID string `json:"message_id" schema:"required,minLength=1,maxLength=128" doc:"the id (wamid) of the message, at most 30 days old"`
	Emoji     string `json:"emoji" schema:"required,maxLength=32" doc:"one emoji; \"\" takes the reaction back"`
}

// A Contact is a card.
type Contact struct {
	Name      ContactName      `json:"name" schema:"required" doc:"what the contact is called"`
	Phones    []ContactPhone   `json:"phones,omitempty" doc:"phone numbers"`
	Emails    []ContactEmail   `json:"emails,omitempty" doc:"email addresses"`
	Addresses []ContactAddress `json:"addresses,omitempty" doc:"postal addresses"`
	Org       *ContactOrg      `json:"org,omitempty" doc:"where the contact works"`
	URLs      []ContactURL     `json:"urls,omitempty" doc:"web pages"`
	Birthday  string           `json:"birthday,omitempty" schema:"pattern=^\\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\\d|3[01])$" doc:"YYYY-MM-DD"`
}

// A ContactName is the name on a card.
type ContactName struct {
	FormattedName string `json:"formatted_name" schema:"required,minLength=1" doc:"the whole name"`
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
	WaID  string `json:"wa_id,omitempty" doc:"digits; gives the card a button to write to the contact"`
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
