package whatsapp

import "facteur/flow/schema"

// A Template is a message whose text Meta has approved, with what fills it in.
type Template struct {
	Name       string      `json:"name" schema:"required,minLength=1,maxLength=512,pattern=^[a-z0-9_]+$" doc:"the template's name: small letters, digits and _"`
	Language   Language    `json:"language" schema:"required" doc:"one of the template's languages"`
	Components []Component `json:"components,omitempty" doc:"what fills in the template's parts, in any order"`
}

// A Language chooses one of a template's languages.
type Language struct {
	Code   string `json:"code" schema:"required,minLength=2,pattern=^[A-Za-z]{2,3}(_[A-Za-z]+)?$" doc:"as the template has it: fr, en_US; en and en_US are different"`
	Policy string `json:"policy,omitempty" schema:"enum=deterministic" doc:"always deterministic"`
}

// A Component fills in one part of a template.
type Component struct {
	cardComponent
	Cards            []TemplateCard    `json:"cards,omitempty" schema:"minItems=1,maxItems=10" doc:"of a carousel: its cards"`
	LimitedTimeOffer *LimitedTimeOffer `json:"limited_time_offer,omitempty" doc:"of a limited_time_offer, where not given as a parameter"`
}

// cardComponent is what components are made of, on a card too.
type cardComponent struct {
	Type       string      `json:"type" schema:"required,foldcase,enum=header|body|button|carousel|limited_time_offer|tap_target_configuration|order_status|footer" doc:"which part it fills in"`
	SubType    string      `json:"sub_type,omitempty" schema:"foldcase,enum=quick_reply|url|copy_code|catalog|mpm|flow|voice_call|order_details" doc:"of a button: its kind"`
	Index      Index       `json:"index,omitempty" doc:"of a button: its place among the template's buttons, from 0"`
	Parameters []Parameter `json:"parameters,omitempty" doc:"the values, by order, or by parameter_name if the template names them"`
}

// Index is the place of a button: a number, or a text that holds one.
type Index struct{}

// SchemaType lets anything pass; the rules see to the rest.
func (Index) SchemaType() *schema.Type { return schema.AnyType }

// A TemplateCard is one card of a template's carousel.
type TemplateCard struct {
	CardIndex  Index           `json:"card_index" schema:"required" doc:"its place, from 0"`
	Components []cardComponent `json:"components" schema:"required" doc:"what fills in the card's parts"`
}

// A Parameter is one value. It has the field that its type names.
type Parameter struct {
	Type          string `json:"type" schema:"required,foldcase,enum=text|currency|date_time|image|video|document|location|payload|action|coupon_code|limited_time_offer|product|order_details|order_status|ttl_minutes|tap_target_configuration" doc:"what kind of value it is"`
	ParameterName string `json:"parameter_name,omitempty" schema:"pattern=^[a-z0-9_]+$" doc:"which value it is, if the template names them"`

	Text                   string            `json:"text,omitempty" schema:"minLength=1,maxLength=32768" doc:"no line break, no tab, no more than four spaces in a row"`
	Currency               *Currency         `json:"currency,omitempty"`
	DateTime               *DateTime         `json:"date_time,omitempty"`
	Image                  *Media            `json:"image,omitempty"`
	Video                  *Media            `json:"video,omitempty"`
	Document               *TemplateDocument `json:"document,omitempty" doc:"a PDF"`
	Location               *Location         `json:"location,omitempty"`
	Payload                string            `json:"payload,omitempty" schema:"maxLength=512" doc:"of a quick_reply button: what comes back when it is pressed"`
	Action                 map[string]any    `json:"action,omitempty" doc:"of a catalog, mpm, flow or order_details button"`
	CouponCode             string            `json:"coupon_code,omitempty" schema:"maxLength=20,pattern=^[A-Za-z0-9]*$" doc:"of a copy_code button: letters and digits, up to 20"`
	LimitedTimeOffer       *LimitedTimeOffer `json:"limited_time_offer,omitempty"`
	Product                *TemplateProduct  `json:"product,omitempty"`
	TTLMinutes             int64             `json:"ttl_minutes,omitempty" schema:"minimum=1,maximum=43200" doc:"of a voice_call button"`
	OrderStatus            map[string]any    `json:"order_status,omitempty"`
	TapTargetConfiguration []TapTarget       `json:"tap_target_configuration,omitempty"`
}

// A Currency is an amount of money.
type Currency struct {
	FallbackValue string `json:"fallback_value" schema:"required,minLength=1" doc:"shown when the amount cannot be formatted"`
	Code          string `json:"code" schema:"required,pattern=^[A-Z]{3}$" doc:"ISO 4217: EUR"`
	Amount1000    int64  `json:"amount_1000" schema:"required" doc:"the amount times 1000"`
}

// A DateTime is a date, as a text.
type DateTime struct {
	FallbackValue string `json:"fallback_value" schema:"required,minLength=1" doc:"the date as it is shown"`
}

// A TemplateDocument is a PDF in a template's header.
type TemplateDocument struct {
	Media
	Filename string `json:"filename,omitempty" schema:"minLength=1" doc:"the name that is shown"`
}

// A LimitedTimeOffer tells when an offer ends.
type LimitedTimeOffer struct {
	ExpirationTimeMS int64 `json:"expiration_time_ms" schema:"required,minimum=0" doc:"when it ends, in milliseconds since 1970"`
}

// A TemplateProduct is a product of a catalogue.
type TemplateProduct struct {
	ProductRetailerID string `json:"product_retailer_id" schema:"required,minLength=1,maxLength=100" doc:"its SKU"`
	CatalogID         string `json:"catalog_id" schema:"required,minLength=1" doc:"the catalogue"`
}

// A TapTarget is where a tap on the message leads.
type TapTarget struct {
	URL   string `json:"url" schema:"required,pattern=^[Hh][Tt][Tt][Pp][Ss]?://" doc:"the address"`
	Title string `json:"title" schema:"required,minLength=1" doc:"what the address is called"`
}
