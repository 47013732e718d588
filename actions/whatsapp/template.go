package whatsapp

// A Template is a message made from a template that Meta has approved, with its parameters.
type Template struct {
	Name       string      `json:"name" schema:"required" doc:"the template's name: small letters, digits and _"`
	Language   Language    `json:"language" schema:"required" doc:"one of the template's languages"`
	Components []Component `json:"components,omitempty" doc:"what fills in the template's parts, in any order"`
}

// A Language chooses one of a template's languages.
type Language struct {
	Code   string `json:"code" schema:"required" doc:"as the template has it: fr, en_US; en and en_US are different"`
	Policy string `json:"policy,omitempty" doc:"always deterministic"`
}

// A Component fills in one part of a template.
type Component struct {
	cardComponent
	Cards            []TemplateCard    `json:"cards,omitempty" doc:"of a carousel: its cards"`
	LimitedTimeOffer *LimitedTimeOffer `json:"limited_time_offer,omitempty" doc:"of a limited_time_offer, where not given as a parameter"`
}

// cardComponent has the fields that the components of a message and of a card share.
type cardComponent struct {
	Type       string      `json:"type" schema:"required" doc:"which part it fills in"`
	SubType    string      `json:"sub_type,omitempty" doc:"of a button: its kind"`
	Index      any         `json:"index,omitempty" doc:"of a button: its place among the template's buttons, from 0; a number, or a text that holds one"`
	Parameters []Parameter `json:"parameters,omitempty" doc:"the values, by order, or by parameter_name if the template names them"`
}

// A TemplateCard is one card of a template's carousel.
type TemplateCard struct {
	CardIndex  any             `json:"card_index" schema:"required" doc:"its place, from 0"`
	Components []cardComponent `json:"components" schema:"required" doc:"what fills in the card's parts"`
}

// A Parameter is one value of a template. It has the field that its type names.
type Parameter struct {
	Type          string `json:"type" schema:"required" doc:"what kind of value it is"`
	ParameterName string `json:"parameter_name,omitempty" doc:"which value it is, if the template names them"`

	Text                   string            `json:"text,omitempty" doc:"no line break, no tab, no more than four spaces in a row"`
	Currency               *Currency         `json:"currency,omitempty"`
	DateTime               *DateTime         `json:"date_time,omitempty"`
	Image                  *Media            `json:"image,omitempty"`
	Video                  *Media            `json:"video,omitempty"`
	GIF                    *Media            `json:"gif,omitempty" doc:"of marketing messages: an MP4 that plays like a GIF"`
	Document               *TemplateDocument `json:"document,omitempty" doc:"a PDF"`
	Location               *Location         `json:"location,omitempty"`
	Payload                string            `json:"payload,omitempty" doc:"of a quick_reply button: what comes back when it is pressed"`
	Action                 *TemplateAction   `json:"action,omitempty" doc:"of a catalog, mpm, flow, order_details or payment_request button"`
	CouponCode             string            `json:"coupon_code,omitempty" doc:"of a copy_code button: letters and digits, up to 20"`
	LimitedTimeOffer       *LimitedTimeOffer `json:"limited_time_offer,omitempty"`
	Product                *TemplateProduct  `json:"product,omitempty"`
	TTLMinutes             int64             `json:"ttl_minutes,omitempty" doc:"of a voice_call button"`
	OrderDetails           map[string]any    `json:"order_details,omitempty"`
	OrderStatus            map[string]any    `json:"order_status,omitempty"`
	TapTargetConfiguration []TapTarget       `json:"tap_target_configuration,omitempty"`
}

// A Currency is an amount of money.
type Currency struct {
	FallbackValue string `json:"fallback_value" schema:"required" doc:"shown when the amount cannot be formatted"`
	Code          string `json:"code" schema:"required" doc:"ISO 4217: EUR"`
	Amount1000    int64  `json:"amount_1000" schema:"required" doc:"the amount times 1000"`
}

// A DateTime is a date, as a text. The other fields, from older references, are accepted and
// have no effect.
type DateTime struct {
	FallbackValue string         `json:"fallback_value" schema:"required" doc:"the date as it is shown"`
	DayOfWeek     any            `json:"day_of_week,omitempty"`
	DayOfMonth    any            `json:"day_of_month,omitempty"`
	Year          any            `json:"year,omitempty"`
	Month         any            `json:"month,omitempty"`
	Hour          any            `json:"hour,omitempty"`
	Minute        any            `json:"minute,omitempty"`
	Calendar      string         `json:"calendar,omitempty"`
	Timestamp     any            `json:"timestamp,omitempty"`
	Component     map[string]any `json:"component,omitempty"`
	UnixEpoch     map[string]any `json:"unix_epoch,omitempty"`
}

// A TemplateAction is what a button of a template does, by its sub_type.
type TemplateAction struct {
	ThumbnailProductRetailerID string           `json:"thumbnail_product_retailer_id,omitempty" doc:"of a catalog or mpm button: the product whose picture is shown"`
	Sections                   []ProductSection `json:"sections,omitempty" doc:"of an mpm button: 1 to 10 sections, with 30 products in all"`
	FlowToken                  string           `json:"flow_token,omitempty" doc:"of a flow button: comes back with the answer"`
	FlowActionData             map[string]any   `json:"flow_action_data,omitempty" doc:"of a flow button: what its first screen gets"`
	OrderDetails               map[string]any   `json:"order_details,omitempty" doc:"of an order_details button: the order"`
	PaymentRequest             map[string]any   `json:"payment_request,omitempty" doc:"of a payment_request button, in Brazil: payment_setting, and for a card currency and total_amount"`
}

// A TemplateDocument is a PDF in a template's header.
type TemplateDocument struct {
	Media
	Filename string `json:"filename,omitempty" doc:"the name that is shown"`
}

// A LimitedTimeOffer tells when an offer ends.
type LimitedTimeOffer struct {
	ExpirationTimeMS int64 `json:"expiration_time_ms" schema:"required" doc:"when it ends, in milliseconds since 1970"`
}

// A TemplateProduct is a product of a catalogue.
type TemplateProduct struct {
	ProductRetailerID string `json:"product_retailer_id" schema:"required" doc:"its SKU"`
	CatalogID         string `json:"catalog_id" schema:"required" doc:"the catalogue"`
}

// A TapTarget is where a tap on the message leads.
type TapTarget struct {
	URL   string `json:"url" schema:"required" doc:"the address"`
	Title string `json:"title" schema:"required" doc:"what the address is called"`
}
