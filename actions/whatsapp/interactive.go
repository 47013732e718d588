package whatsapp

import (
	"sync"

	"facteur/flow/schema"
)

// An Interactive is a message with buttons, a list or another action.
type Interactive struct {
	Type   string             `json:"type" schema:"required" doc:"what can be done with it"`
	Header *InteractiveHeader `json:"header,omitempty" doc:"above the text"`
	Body   *InteractiveBody   `json:"body,omitempty" doc:"the text"`
	Footer *InteractiveFooter `json:"footer,omitempty" doc:"below the text"`
	Action Action             `json:"action" schema:"required" doc:"what can be done, by type"`
}

// An InteractiveHeader has the field that its type names.
type InteractiveHeader struct {
	Type     string            `json:"type" schema:"required" doc:"what the header shows"`
	Text     string            `json:"text,omitempty" doc:"up to 60 characters, without formatting"`
	Image    *Media            `json:"image,omitempty"`
	Video    *Media            `json:"video,omitempty"`
	Document *TemplateDocument `json:"document,omitempty"`
	SubText  string            `json:"sub_text,omitempty"`
}

// An InteractiveBody is the text.
type InteractiveBody struct {
	Text string `json:"text" schema:"required" doc:"up to 1024 characters, 4096 in a list"`
}

// An InteractiveFooter is the small text at the end.
type InteractiveFooter struct {
	Text string `json:"text" schema:"required" doc:"up to 60 characters"`
}

// An Action is the action of an interactive message. Its schema depends on the message's type.
type Action struct{ value any }

// SchemaType returns the union of the actions of all types.
func (Action) SchemaType() *schema.Type { return actionSchema() }

// DecodeValue keeps the value.
func (a *Action) DecodeValue(v any) error { a.value = v; return nil }

// EncodeValue returns the value.
func (a Action) EncodeValue() any { return a.value }

var actionSchema = sync.OnceValue(func() *schema.Type {
	return &schema.Type{Kind: schema.Union, Tag: "type", Doc: "what can be done, by type", Cases: []schema.Case{
		{Value: "button", Type: schema.Of[ReplyButtons]()},
		{Value: "list", Type: schema.Of[ListAction]()},
		{Value: "cta_url", Type: schema.Of[URLAction]()},
		{Value: "flow", Type: schema.Of[FlowAction]()},
		{Value: "product", Type: schema.Of[ProductAction]()},
		{Value: "product_list", Type: schema.Of[ProductListAction]()},
		{Value: "catalog_message", Type: schema.Of[CatalogAction]()},
		{Value: "location_request_message", Type: schema.Of[LocationRequestAction]()},
		{Value: "address_message", Type: schema.Of[AddressAction]()},
		{Value: "order_details", Type: schema.Of[OrderDetailsAction]()},
		{Value: "order_status", Type: schema.Of[OrderStatusAction]()},
		{Value: "carousel", Type: schema.Of[CarouselAction]()},
		{Value: "voice_call", Type: schema.Of[VoiceCallAction]()},
		{Value: "call_permission_request", Type: schema.Of[CallPermissionAction]()},
		{Value: "request_contact_info", Type: schema.Of[ContactInfoAction]()},
	}}
})

// ReplyButtons are up to three buttons.
type ReplyButtons struct {
	Buttons []ReplyButton `json:"buttons" schema:"required" doc:"1 to 3 buttons"`
}

// A ReplyButton is one button.
type ReplyButton struct {
	Type   string         `json:"type" schema:"required" doc:"reply; in Direct Send also cta_url"`
	Reply  *Reply         `json:"reply,omitempty" doc:"what it says and sends back"`
	CTAURL *URLParameters `json:"cta_url,omitempty" doc:"in Direct Send: what it says and opens"`
}

// A Reply is what a button says and sends back.
type Reply struct {
	ID    string `json:"id" schema:"required" doc:"what comes back as reply_id"`
	Title string `json:"title" schema:"required" doc:"what it says, up to 20 characters"`
}

// A ListAction opens a list to choose from.
type ListAction struct {
	Button   string        `json:"button" schema:"required" doc:"what the button that opens the list says, up to 20 characters"`
	Sections []ListSection `json:"sections" schema:"required" doc:"1 to 10 sections, with 10 rows in all"`
}

// A ListSection is a group of rows.
type ListSection struct {
	Title string    `json:"title,omitempty" doc:"up to 24 characters; required with more than one section"`
	Rows  []ListRow `json:"rows" schema:"required" doc:"1 to 10 rows"`
}

// A ListRow is something to choose.
type ListRow struct {
	ID          string `json:"id" schema:"required" doc:"what comes back as reply_id"`
	Title       string `json:"title" schema:"required" doc:"up to 24 characters"`
	Description string `json:"description,omitempty" doc:"up to 72 characters"`
}

// A URLAction opens a web page.
type URLAction struct {
	Name       string        `json:"name" schema:"required" doc:"always cta_url"`
	Parameters URLParameters `json:"parameters" schema:"required"`
}

// URLParameters say which page.
type URLParameters struct {
	DisplayText string `json:"display_text" schema:"required" doc:"what the button says, up to 20 characters"`
	URL         string `json:"url" schema:"required" doc:"the page, http or https"`
}

// A FlowAction opens a WhatsApp Flow.
type FlowAction struct {
	Name       string         `json:"name" schema:"required" doc:"always flow"`
	Parameters FlowParameters `json:"parameters" schema:"required"`
}

// FlowParameters say which Flow, and where it begins.
type FlowParameters struct {
	FlowMessageVersion string       `json:"flow_message_version" schema:"required" doc:"always \"3\""`
	FlowID             string       `json:"flow_id,omitempty" doc:"the Flow by its ID; or give flow_name"`
	FlowName           string       `json:"flow_name,omitempty" doc:"the Flow by its name; or give flow_id"`
	FlowCTA            string       `json:"flow_cta" schema:"required" doc:"what the button says: 20 characters are safe, 30 the most, no emoji"`
	Mode               string       `json:"mode,omitempty" doc:"published unless it says draft"`
	FlowToken          string       `json:"flow_token,omitempty" doc:"comes back with the answer"`
	FlowAction         string       `json:"flow_action,omitempty" doc:"navigate unless it says data_exchange"`
	FlowActionPayload  *FlowPayload `json:"flow_action_payload,omitempty" doc:"with navigate: the first screen"`
}

// A FlowPayload is where a Flow begins.
type FlowPayload struct {
	Screen string `json:"screen,omitempty" doc:"the first screen"`
	Data   any    `json:"data,omitempty" doc:"what the screen gets, an object"`
}

// A VoiceCallAction lets people call the business.
type VoiceCallAction struct {
	Name       string               `json:"name" schema:"required" doc:"always voice_call"`
	Parameters *VoiceCallParameters `json:"parameters,omitempty"`
}

// VoiceCallParameters say how.
type VoiceCallParameters struct {
	DisplayText string `json:"display_text,omitempty" doc:"what the button says"`
	TTLMinutes  int64  `json:"ttl_minutes,omitempty" doc:"for how long the button works; 10080 unless given"`
	Payload     string `json:"payload,omitempty" doc:"comes back with the call"`
}

// A LocationRequestAction asks for a place.
type LocationRequestAction struct {
	Name string `json:"name" schema:"required" doc:"always send_location"`
}

// A CallPermissionAction asks whether the business may call.
type CallPermissionAction struct {
	Name string `json:"name" schema:"required" doc:"always call_permission_request"`
}

// A ContactInfoAction asks for a phone number.
type ContactInfoAction struct {
	Name string `json:"name" schema:"required" doc:"always request_contact_info"`
}

// An AddressAction asks for a postal address, in India.
type AddressAction struct {
	Name       string            `json:"name" schema:"required" doc:"always address_message"`
	Parameters AddressParameters `json:"parameters" schema:"required"`
}

// AddressParameters say what is known already.
type AddressParameters struct {
	Country          string         `json:"country" schema:"required" doc:"always IN"`
	Values           *AddressValues `json:"values,omitempty" doc:"what is filled in already"`
	SavedAddresses   []SavedAddress `json:"saved_addresses,omitempty" doc:"addresses to choose from"`
	ValidationErrors map[string]any `json:"validation_errors,omitempty" doc:"what was wrong, by field"`
}

// AddressValues are the parts of an address.
type AddressValues struct {
	Name         string `json:"name,omitempty"`
	PhoneNumber  string `json:"phone_number,omitempty"`
	InPinCode    string `json:"in_pin_code,omitempty" doc:"up to 6 characters"`
	HouseNumber  string `json:"house_number,omitempty"`
	FloorNumber  string `json:"floor_number,omitempty"`
	TowerNumber  string `json:"tower_number,omitempty"`
	BuildingName string `json:"building_name,omitempty"`
	Address      string `json:"address,omitempty"`
	LandmarkArea string `json:"landmark_area,omitempty"`
	City         string `json:"city,omitempty"`
	State        string `json:"state,omitempty"`
}

// A SavedAddress is an address to choose.
type SavedAddress struct {
	ID    string        `json:"id" schema:"required"`
	Value AddressValues `json:"value" schema:"required"`
}
