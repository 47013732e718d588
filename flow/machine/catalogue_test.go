package machine_test

import (
	"errors"
	"maps"
	"strings"

	"facteur/flow/call"
	"facteur/flow/schema"
)

// A catalogue is a small world of actions and events: test.send has all that a
// messaging action may have, test.get is harmless to repeat.
type catalogue struct{}

func (catalogue) Names() (actions, events []string) {
	return []string{"test.get", "test.send"}, []string{"test.message", "webhook"}
}

func (catalogue) Action(name string) *call.Signature {
	switch name {
	case "test.send":
		return send
	case "test.get":
		return get
	}
	return nil
}

func (catalogue) Event(name string) *call.Event {
	switch name {
	case "test.message":
		return message
	case "webhook":
		return webhook
	}
	return nil
}

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

var send = &call.Signature{
	Name: "test.send", App: "TEST", ConnectionOptional: true,
	In: object(required("to", schema.StringType), field("text", schema.StringType), field("extra", schema.AnyType)),
	Out: object(always("status_code", schema.IntType), always("success", schema.BoolType),
		required("message_id", schema.StringType), required("delivery", schema.StringType),
		required("took", schema.DurationType), required("at", schema.TimestampType),
		required("weight", schema.NumberType), required("body", schema.AnyType)),
	Recipient: func(in map[string]any) string {
		to, _ := in["to"].(string)
		to, _ = contact(to)
		return to
	},
	Limits: func(_ string, in map[string]any) []call.Limit {
		to, _ := in["to"].(string)
		return []call.Limit{{Key: "pair " + to, Rate: 1, Burst: 5}}
	},
	States:   []string{"sent", "delivered", "read"},
	Settle:   settle,
	Volatile: []string{"key"},
	Check: func(in schema.Value) schema.Violations {
		if to, ok := in.Get("to").Text(); ok {
			if _, err := contact(to); err != nil {
				return schema.Violations{{Path: schema.Path{"to"}, Rule: "to", Message: err.Error()}}
			}
		}
		return nil
	},
}

var ranks = map[string]int{"sent": 1, "delivered": 2, "read": 3}

func settle(_, out map[string]any, r call.Receipt, want string) call.Outcome {
	now := maps.Clone(out)
	if now == nil {
		now = map[string]any{}
	}
	before, _ := now["delivery"].(string)
	switch {
	case r.State == "failed" && ranks[before] < ranks["delivered"]:
		now["delivery"], now["success"] = "failed", false
		return call.Outcome{Status: call.Failed, Output: now, Error: r.Error}
	case before == "failed" && ranks[r.State] < ranks["delivered"]:
		return call.Outcome{Status: call.Pending, Output: now}
	}
	if ranks[r.State] > ranks[before] {
		now["delivery"] = r.State
	}
	if id, _ := r.Data["message_id"].(string); id != "" {
		now["message_id"] = id
	}
	if r.Data["n"] != nil {
		now["body"] = r.Data
	}
	state, _ := now["delivery"].(string)
	reached := ranks[state] > 0 && ranks[state] >= ranks[want]
	now["success"] = reached
	if !reached {
		return call.Outcome{Status: call.Pending, Output: now}
	}
	return call.Outcome{Status: call.Succeeded, Output: now}
}

var get = &call.Signature{
	Name: "test.get",
	In:   object(required("url", schema.StringType)),
	Out: object(always("status_code", schema.IntType), required("body", schema.AnyType),
		required("took", schema.DurationType)),
	Idempotent: func(map[string]any) bool { return true },
}

var message = &call.Event{
	Name: "test.message", By: "from", SinceCall: true, Subject: contact, Connection: true,
	Type: object(required("from", schema.StringType), required("text", schema.StringType), field("raw", schema.AnyType)),
}

var webhook = &call.Event{
	Name: "webhook", By: "path",
	Type: object(required("path", schema.StringType), required("body", schema.AnyType)),
}

// contact gives a number the form that equal ones share.
func contact(number string) (string, error) {
	number = strings.ReplaceAll(number, " ", "")
	if !strings.HasPrefix(number, "+") {
		return "", errors.New("a number starts with +")
	}
	return number, nil
}
