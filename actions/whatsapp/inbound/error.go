package inbound

import (
	"fmt"

	"facteur/actions/whatsapp/graph"
	"facteur/flow/schema"
)

// An Error says why something is no webhook of the WhatsApp Cloud API.
type Error struct {
	Problem string
	Hint    string // what it is, or what to do; "" for none
}

func (e *Error) Error() string {
	if e.Hint == "" {
		return e.Summary()
	}
	return e.Summary() + "; " + e.Hint
}

// Summary says what is wrong.
func (e *Error) Summary() string { return "not a WhatsApp webhook: " + e.Problem }

func otherObject(object string) error {
	return &Error{fmt.Sprintf("its object is %.80q", object), fmt.Sprintf("webhooks of WhatsApp have the object %q", product)}
}

// notWebhook tells what an object is that is no webhook: of what people have at hand,
// much looks like one.
func notWebhook(v schema.Value) error {
	if _, ok := v.Object(); !ok {
		return &Error{"it is not a JSON object", "give the body of one webhook"}
	}
	e, isError := graph.ErrorIn(v.Get("error"))
	from, _ := v.Get("messages").Index(0).Get("from").Text()
	object := graph.Word(v.Get("object"))
	_, onPremisesMeta := v.Get("meta", "api_status").Text()
	switch {
	case object != "" && object != product:
		return otherObject(object)
	case object != "":
		return &Error{"it has no entry", ""}
	case isError:
		return &Error{
			fmt.Sprintf("it is the API's error %d, %.80q [%s]", e.Code, e.Title, graph.Classify(e).Class),
			fmt.Sprintf("see: facteur explain %d", e.Code),
		}
	case has(v, "error"):
		return &Error{"it is an error of the API", "the message was refused; webhooks report only accepted messages"}
	case from != "", has(v, "statuses"), has(v, "errors") && !has(v, "messaging_product"), onPremisesMeta:
		return &Error{"it is a webhook of the On-Premises API, without entry and changes",
			"the On-Premises API has delivered nothing since October 2025; the Cloud API wraps the same data in entry[].changes[].value"}
	case has(v, "messages") && has(v, "contacts"):
		return &Error{"it is the answer to a send", "the message's statuses arrive as webhooks"}
	case has(v, "messaging_product") && (has(v, "to") || has(v, "recipient")):
		return &Error{"it is a message to send", "check it with: facteur message check"}
	}
	return &Error{"it has no entry", fmt.Sprintf("a webhook starts with {\"object\": %q, \"entry\": […]}", product)}
}
