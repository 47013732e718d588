package simulator

import (
	"cmp"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"facteur/actions/whatsapp/graph"
	"facteur/flow/schema"
)

// An apiError is an error as the Graph API answers it.
type apiError struct {
	status        int // HTTP
	kind          string
	code, subcode int64
	message       string // with its "(#code)", where it has one
	details       string
	transient     bool
	title, advice string // error_user_title, error_user_msg
}

const (
	oauth  = "OAuthException"
	method = "GraphMethodException"
)

// newAPIError is the refusal with a code, in the words of the catalogue where Meta uses no
// others. details "": Meta's usual ones.
func newAPIError(code int64, details string) *apiError {
	e, known := graph.Explain(code)
	r := &apiError{status: e.HTTP, kind: oauth, code: code}
	if !known || r.status == 0 {
		r.status = http.StatusBadRequest
	}
	title, usual := wording(code)
	title = cmp.Or(title, "Unknown error")
	r.details = cmp.Or(details, usual)
	r.message = fmt.Sprintf("(#%d) %s", code, title)
	switch code {
	case 0, 102, 104, 190:
		r.message, r.details = title, ""
	case 4, 80007:
		r.subcode, r.transient, r.details = 2446079, true, ""
	case 17, 1, 2:
		r.transient, r.details = true, ""
	case 33:
		r.code, r.subcode, r.status = 100, 33, http.StatusBadRequest
	case 130429:
		r.subcode = 2494055
	case 131030:
		r.subcode = 2655007
	}
	return r
}

// fromGraphError is the refusal that the rules of messages speak of.
func fromGraphError(e *graph.Error) *apiError {
	r := newAPIError(e.Code, e.Details)
	if e.Title != "" {
		r.message = fmt.Sprintf("(#%d) %s", e.Code, e.Title)
	}
	return r
}

// wordings are the message and the details that Meta gives with a code, in answers and webhooks. title
// "": the one in the catalogue.
var wordings = [...]struct {
	code           int64
	title, details string
}{
	{0, "Authentication error", ""},
	{4, "Application request limit reached", ""},
	{10, "Application does not have permission for this action", "Application does not have permission for this action"},
	{104, "An access token is required to request this resource.", ""},
	{190, "Invalid OAuth access token - Cannot parse access token", ""},
	{368, "The action attempted has been deemed abusive or is otherwise disallowed", "The WhatsApp Business Account has been restricted or disabled for violating a platform policy."},
	{80007, "There have been too many calls to this WhatsApp Business account. Wait a bit and try again.", ""},
	{130403, "", "Message failed to send because the business has blocked this user."},
	{130429, "", "Cloud API message throughput has been reached."},
	{130472, "", "Failed to send message because this user's phone number is part of an experiment."},
	{130497, "Business account is restricted from messaging users in this country.", "Business account is restricted from messaging users in this country."},
	{131000, "", "Message failed to send due to an unknown error."},
	{131005, "", "Permission is either not granted or has been removed."},
	{131008, "", "The request is missing a required parameter."},
	{131009, "", "One or more parameter values are invalid."},
	{131016, "", "A service is temporarily unavailable."},
	{131021, "", "Sender and recipient phone number is the same."},
	{131026, "Message undeliverable", "Message Undeliverable."},
	{131030, "", "Recipient phone number not in allowed list: Add recipient phone number to recipient list and try again."},
	{131031, "Business Account locked", "Business account has been locked."},
	{131037, "WhatsApp provided number needs display name approval before message can be sent.", "WhatsApp provided number needs display name approval before message can be sent."},
	{131042, "", "Message failed to send because there were one or more errors related to your payment method."},
	{131045, "", "Message failed to send due to a phone number registration error."},
	{131047, "", "Message failed to send because more than 24 hours have passed since the customer last replied to this number."},
	{131048, "", "Message failed to send because there are restrictions on how many messages can be sent from this phone number."},
	{131049, "This message was not delivered to maintain healthy ecosystem engagement.", "In order to maintain a healthy ecosystem engagement, the message failed to be delivered."},
	{131050, "Unable to deliver the message. This recipient has chosen to stop receiving marketing messages on WhatsApp from your business", "The recipient has opted out of marketing messages from your business."},
	{131051, "", "Message type is not currently supported."},
	{131052, "", "Failed to download the media from the sender."},
	{131053, "", "Unable to upload the media used in the message."},
	{131056, "", "Message failed to send because there were too many messages sent from this phone number to the same phone number in a short period of time."},
	{131057, "", "Business account is in maintenance mode."},
	{132000, "Number of parameters does not match the expected number of params", ""},
	{132001, "Template name does not exist in the translation", ""},
	{132005, "Translated text too long", ""},
	{132012, "Parameter format does not match format in the created template", ""},
	{132015, "", "Template is paused due to low quality so it cannot be sent in a template message."},
	{132018, "There was an issue with the parameters in your template", ""},
	{133004, "", "Server is temporarily unavailable."},
	{133010, "Account not registered", "Phone number not registered on the WhatsApp Business Platform."},
	{135000, "", "Message failed to send because of an unknown error with your request parameters."},
}

// wording returns Meta's title of a code, and its usual details.
func wording(code int64) (title, details string) {
	for _, w := range wordings {
		if w.code == code {
			title, details = w.title, w.details
		}
	}
	if e, ok := graph.Explain(code); ok {
		title = cmp.Or(title, e.Title)
	}
	return title, details
}

// expectedType returns Meta's name of the type in "expected string, got integer".
func expectedType(message string) string {
	kind, _, _ := strings.Cut(strings.TrimPrefix(message, "expected "), ",")
	switch first, _, _ := strings.Cut(kind, " "); first {
	case "list":
		return "an array"
	case "object":
		return "a JSON object"
	case "integer":
		return "an integer"
	case "string", "number", "boolean":
		return "a " + first
	}
	return kind
}

// validationError is the refusal of a body that breaks rules: Meta tells of one of them.
func validationError(body map[string]any, found schema.Violations) *apiError {
	if body["messaging_product"] == nil {
		return missingParameter("messaging_product")
	}
	for _, v := range found {
		if v.Rule == "messaging-product" || v.Rule == "required" && len(v.Path) == 0 || v.Rule == "message-type" || v.Rule == "on-premises" && !v.OnKey {
			return violationError(v) // what it looks at first
		}
	}
	first := found[0]
	if first.Rule == "type" && expectedType(first.Message) == "an array" && hasFields(body, first.Path) {
		first.Path, first.Message = append(slices.Clip(first.Path), 0), "expected object"
	}
	return violationError(first)
}

// hasFields reports whether there is an object whose first field is not an object: where a list is
// expected, Meta reads it as the list of its values.
func hasFields(body map[string]any, path schema.Path) bool {
	at := schema.NewValue(body, nil)
	for _, step := range path {
		switch step := step.(type) {
		case string:
			at = at.Field(step)
		case int:
			at = at.Index(step)
		}
	}
	names := at.Keys()
	if len(names) == 0 {
		return false
	}
	_, object := at.Field(names[0]).Object()
	return !object
}

func violationError(v schema.Violation) *apiError {
	var last, owner string
	if n := len(v.Path); n > 0 {
		last, _ = v.Path[n-1].(string)
		owner = param(v.Path[:n-1])
	}
	switch {
	case v.Rule == "unknown-field", v.Rule == "template-made", v.Rule == "other-shape" && last != "", v.Rule == "on-premises" && v.OnKey:
		if owner == "" {
			return invalidParameter(fmt.Sprintf("(#100) Unexpected key %q.", last))
		}
		return invalidParameter(fmt.Sprintf("(#100) Unexpected key %q on param %q.", last, owner))
	case v.Rule == "to-required":
		return missingParameter("to")
	case v.Rule == "required" && len(v.Path) == 0:
		return missingParameter(field(v.Message))
	case v.Rule == "messaging-product":
		given, _, _ := strings.Cut(v.Message, " is ")
		return invalidParameter("(#100) Param messaging_product must be one of {WHATSAPP} - got " + given + ".")
	case v.Rule == "type-missing", v.Rule == "message-missing":
		r := newAPIError(131008, "Parameter 'type' is mandatory.")
		if name := field(v.Message); v.Rule == "message-missing" && name != "" {
			r.details = fmt.Sprintf("Parameter '%s' is mandatory for type '%s'", name, name)
		}
		return r
	case v.Rule == "message-type", v.Rule == "on-premises": // the type hsm
		kind, _, _ := strings.Cut(v.Message, " is ")
		return invalidParameter(fmt.Sprintf("(#100) Param type must be one of {AUDIO, CONTACTS, DOCUMENT, GIF, IMAGE, INTERACTIVE, LINK_PREVIEW, LOCATION, PIN, REACTION, STICKER, TEMPLATE, TEXT, VIDEO} - got %q.", strings.Trim(kind, `"`)))
	case v.Rule == "text-body-blank", v.Message == "must not be empty":
		return missingParameter(param(v.Path))
	case v.Rule == "text-body":
		return invalidParameter("(#100) Param text['body'] must be at most 4096 characters long.")
	case v.Rule == "type":
		return invalidParameter(fmt.Sprintf("(#100) Param %s must be %s.", param(v.Path), expectedType(v.Message)))
	case v.Rule == "required":
		return missingParameter(param(append(slices.Clip(v.Path), field(v.Message))))
	case v.Rule == "parameter-field" && strings.Contains(v.Message, "has no field"):
		return newAPIError(100, fmt.Sprintf("Parameter '%s' is mandatory for component parameter type '%[1]s'", field(v.Message)))
	case v.Rule == "authentication-user-id":
		return newAPIError(131062, v.Message)
	case v.Rule == "to-format" && strings.HasSuffix(v.Message, "begins with 00"):
		return newAPIError(100, "Parameter Invalid")
	case v.Rule == "to-format":
		return newAPIError(131009, "The phone number is malformed: Please use the format: +1234567890.")
	case v.Rule == "parameter-text" && strings.HasPrefix(v.Message, "is empty"):
		return newAPIError(131008, "Parameter of type text is missing text value")
	case v.Rule == "parameter-text":
		return newAPIError(132018, "Param text cannot have new-line/tab characters or more than 4 consecutive spaces")
	case v.Rule == "template-button":
		return newAPIError(131008, v.Error())
	}
	for _, m := range ruleMessages {
		if m.rule == v.Rule {
			return newAPIError(131009, m.details)
		}
	}
	return newAPIError(131009, v.Error())
}

// ruleMessages are the details that Meta was observed to give, by the rule that is broken.
var ruleMessages = [...]struct{ rule, details string }{
	{"buttons-count", "Invalid buttons count. Min allowed buttons: 1, Max allowed buttons: 3"},
	{"button-title", "Button title length invalid. Min length: 1, Max length: 20"},
	{"flow-data", "Parameter data in flow_action_payload for CTA flow must be of type dynamic_object."},
	{"interactive-body-length", "Body text length invalid. Min length: 1, Max length: 1024"},
	{"interactive-footer-length", "Footer text length invalid. Min length: 0, Max length: 60"},
	{"interactive-header-text", "Text cannot be null for header type text"},
	{"list-button", "Button label is too long. Max length is 20"},
	{"list-row-title", "Row title is too long. Max length is 24"},
	{"list-row-description", "Row description is too long. Max length is 72"},
	{"list-rows-total", "Total row count exceed max allowed count: 10"},
}

// field is the name that a finding quotes.
func field(message string) string {
	_, after, _ := strings.Cut(message, `"`)
	name, _, _ := strings.Cut(after, `"`)
	return name
}

// param formats a path as Meta does: interactive['action']['buttons'][0].
func param(path schema.Path) string {
	var b strings.Builder
	for i, step := range path {
		switch step := step.(type) {
		case string:
			if i == 0 {
				b.WriteString(step)
			} else {
				b.WriteString("['" + step + "']")
			}
		case int:
			fmt.Fprintf(&b, "[%d]", step)
		}
	}
	return b.String()
}

func missingParameter(name string) *apiError {
	return invalidParameter("(#100) The parameter " + name + " is required.")
}

func invalidParameter(message string) *apiError {
	return &apiError{status: http.StatusBadRequest, kind: oauth, code: 100, message: message}
}

// noObject is the refusal of an ID that is nothing, or nothing that the token may see.
func noObject(verb, id string) *apiError {
	return &apiError{status: http.StatusBadRequest, kind: method, code: 100, subcode: 33,
		message: fmt.Sprintf("Unsupported %s request. Object with ID '%s' does not exist, cannot be loaded due to missing permissions, or does not support this operation. Please read the Graph API documentation at https://developers.facebook.com/docs/graph-api", strings.ToLower(verb), id)}
}

func noPath(path string) *apiError {
	return &apiError{status: http.StatusBadRequest, kind: oauth, code: 2500, message: "Unknown path components: " + path}
}
