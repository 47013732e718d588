package plan_test

import (
	"errors"
	"slices"
	"strings"

	"facteur/flow/call"
	"facteur/flow/schema"
)

func object(fields ...*schema.Field) *schema.Type {
	return &schema.Type{Kind: schema.Object, Fields: fields}
}

func field(name string, t *schema.Type) *schema.Field { return &schema.Field{Name: name, Type: t} }

func required(name string, t *schema.Type) *schema.Field {
	return &schema.Field{Name: name, Type: t, Required: true}
}

func always(name string, t *schema.Type) *schema.Field {
	return &schema.Field{Name: name, Type: t, Required: true, Always: true}
}

func upTo(n int) *schema.Type { return &schema.Type{Kind: schema.String, MinLength: 1, MaxLength: n} }

func oneOf(values ...any) *schema.Type {
	return &schema.Type{Kind: schema.String, Enum: values, FoldCase: true}
}

// catalog is the catalogue of these tests: test.send is shaped like an action that sends
// messages, test.get like one that makes a request, test.note needs no connection.
func catalog() *fakeCatalog {
	number := &schema.Type{Kind: schema.String, Format: "e164"}
	least, most := 1.0, 5.0
	parameter := object(
		required("type", &schema.Type{Kind: schema.String, Enum: []any{"text", "currency"}}),
		field("text", upTo(20)),
		field("amount", schema.IntType),
	)
	message := &schema.Type{Kind: schema.Union, Tag: "message_type", Cases: []schema.Case{
		{Value: "text", Type: object(required("body", upTo(40)), field("preview_url", schema.BoolType))},
		{Value: "image", Type: object(field("id", schema.StringType), field("link", schema.StringType), field("caption", upTo(10)))},
		{Value: "contacts", Type: &schema.Type{Kind: schema.List, MinItems: 1, MaxItems: 2, Elem: object(required("name", schema.StringType))}},
		{Value: "template", Type: object(
			required("name", schema.StringType),
			required("language", object(required("code", schema.StringType))),
			field("components", schema.ListOf(object(
				required("type", oneOf("header", "body", "button")),
				field("index", schema.IntType),
				field("parameters", &schema.Type{Kind: schema.List, Elem: parameter, MaxItems: 3}),
			))),
		)},
	}}
	kind := oneOf("text", "image", "contacts", "template")
	received := object(
		always("from", number), always("type", schema.StringType), always("text", schema.StringType),
		always("timestamp", schema.TimestampType), always("raw", schema.MapOf(schema.AnyType)),
	)
	return &fakeCatalog{
		actions: []*call.Signature{
			{
				Name: "test.send", App: "WHATSAPP",
				In: object(
					field("sender_phone_id", &schema.Type{Kind: schema.String, Pattern: "^[0-9]+$"}),
					required("recipient", number),
					required("message_type", kind),
					required("message", message),
					field("reply_to", schema.StringType),
					field("fallback", object(&schema.Field{Name: "message_type", Type: kind, Default: "template"}, required("message", message))),
					field("priority", &schema.Type{Kind: schema.Int, Minimum: &least, Maximum: &most}),
					field("ttl", schema.DurationType),
					field("send_at", schema.TimestampType),
					field("labels", schema.MapOf(schema.StringType)),
					field("once", schema.StringType),
				),
				Out: object(
					always("status_code", schema.IntType), always("success", schema.BoolType),
					required("message_id", schema.StringType), field("body", schema.AnyType),
				),
				States: []string{"sent", "delivered", "read"},
				Settle: func(_, out map[string]any, _ call.Receipt, _ string) call.Outcome {
					return call.Outcome{Status: call.Succeeded, Output: out}
				},
				Check: checkSend,
			},
			{
				Name: "test.get", App: "HTTP", ConnectionOptional: true,
				In: object(
					required("url", schema.StringType),
					&schema.Field{Name: "method", Type: oneOf("GET", "POST"), Default: "GET"},
					field("headers", schema.MapOf(schema.StringType)),
					field("json", schema.AnyType),
					field("expect_status", schema.ListOf(schema.IntType)),
				),
				Out: object(always("status_code", schema.IntType), required("json", schema.AnyType), required("text", schema.StringType)),
			},
			{Name: "test.note", In: object(field("text", schema.StringType)), Out: object(required("id", schema.StringType), field("seen", schema.StringType))},
		},
		events: []*call.Event{
			{Name: "test.message", Type: received, By: "from", Subject: subject, SinceCall: true},
			{Name: "webhook", Type: object(always("path", schema.StringType), always("body", schema.AnyType)), By: "path", Subject: path, Connection: true, App: "WEBHOOK"},
			{Name: "whatsapp.message", Type: received, By: "from", Subject: subject, SinceCall: true},
		},
	}
}

func path(value string) (string, error) {
	if value == "/" {
		return "", errors.New("it is no path")
	}
	return strings.TrimRight(value, "/"), nil
}

func subject(value string) (string, error) {
	if !strings.HasPrefix(value, "+") {
		return "", errors.New("a number starts with +")
	}
	return value, nil
}

// checkSend has a rule over sibling fields, one about a name, and one that warns.
func checkSend(in schema.Value) schema.Violations {
	var found schema.Violations
	rule := func(v schema.Value, id, message string, onKey, warning bool) {
		found = append(found, schema.Violation{Path: v.Path(), Rule: id, Message: message, OnKey: onKey, Warning: warning})
	}
	message := in.Get("message")
	if text, ok := message.Get("body").Text(); ok && strings.TrimSpace(text) != text {
		rule(message.Get("body"), "test-padding", "begins or ends with white space", false, false)
	}
	if text, ok := message.Get("body").Text(); ok && strings.Contains(text, "http:") {
		rule(message.Get("body"), "test-plain-link", "has a link that is not secure", false, true)
	}
	if kind, ok := in.Get("message_type").Text(); ok && kind == "image" && !message.IsUnknown() {
		switch id, link := message.Get("id").Present(), message.Get("link").Present(); {
		case id && link:
			rule(message.Get("link"), "test-one-source", "takes id or link, not both", true, false)
		case !id && !link:
			rule(message, "test-one-source", "needs id or link", false, false)
		}
	}
	for _, component := range message.Get("components").Items() {
		for _, p := range component.Get("parameters").Items() {
			if kind, ok := p.Get("type").Text(); ok && kind == "text" && !p.Get("text").Present() {
				rule(p, "test-parameter-text", "needs text", false, false)
			}
		}
	}
	if in.Get("once").Present() {
		rule(in.Get("once"), "test-no-ledger", "needs a ledger", true, false)
	}
	return found
}

type fakeCatalog struct {
	actions []*call.Signature
	events  []*call.Event
}

func (f *fakeCatalog) Action(name string) *call.Signature {
	for _, a := range f.actions {
		if a.Name == name {
			return a
		}
	}
	return nil
}

func (f *fakeCatalog) Event(name string) *call.Event {
	for _, e := range f.events {
		if e.Name == name {
			return e
		}
	}
	return nil
}

func (f *fakeCatalog) Names() (actions, events []string) {
	for _, a := range f.actions {
		actions = append(actions, a.Name)
	}
	for _, e := range f.events {
		events = append(events, e.Name)
	}
	slices.Sort(actions)
	slices.Sort(events)
	return actions, events
}
