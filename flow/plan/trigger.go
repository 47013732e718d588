package plan

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"facteur/flow"
	"facteur/flow/call"
	"facteur/flow/diag"
	"facteur/flow/expr"
	"facteur/flow/schema"
)

// NoConnection stands in place of a connection's name where anybody may send events.
const NoConnection = "none"

func (c *flowCompiler) triggers() {
	for _, t := range c.flow.Triggers {
		s := c.outside()
		s.Bind("run", &schema.Type{Kind: schema.Object}) // there is none yet
		var out *Trigger
		switch {
		case t.Webhook != nil:
			out = c.webhook(t, s)
		case t.Schedule != nil:
			out = c.schedule(t.Schedule)
		case t.Message != nil:
			out = c.message(t.Message, s)
		}
		inputs := &flow.Node{Kind: flow.MapNode, Range: t.Range}
		for _, b := range t.Inputs {
			inputs.Entries = append(inputs.Entries, flow.Entry{Key: b.Name, Value: b.Value})
		}
		out.Inputs = c.flowInputs(inputs, t.Range, c.plan.Inputs, s, c.missingTriggerInput(out.Kind, t.Range))
		c.plan.Triggers = append(c.plan.Triggers, out)
	}
}

func (c *flowCompiler) webhook(t *flow.Trigger, s *expr.Scope) *Trigger {
	in := t.Webhook
	out := &Trigger{Kind: "webhook", Path: in.Path.Value, Always: in.Always}
	event := c.bindEvent(s, "webhook")
	out.Event = event
	if event != nil && event.Subject != nil && out.Path != "" {
		path, err := event.Subject(out.Path)
		if err != nil && !c.lib.Stored {
			c.diags.Errorf("bad-subject", in.Path.Whole, "", "path: %s", err)
		}
		out.Path = path
	}
	out.Connection, out.Open = c.eventSource(in.Connection, event, t.Range)
	c.when(out, in.When, s)
	if in.Dedupe != nil {
		out.Dedupe = c.value(in.Dedupe, nil, s)
	}
	return out
}

func (c *flowCompiler) schedule(in *flow.ScheduleTrigger) *Trigger {
	out := &Trigger{Kind: "schedule", Missed: in.Missed, Cron: in.Cron.Value, Timezone: in.Timezone.Value}
	zone, suggestion := expr.TimeZone(out.Timezone)
	if zone == nil {
		zone = time.UTC
		if !c.lib.Stored {
			hint := "write a name such as Europe/Paris"
			if suggestion != "" {
				hint = fmt.Sprintf("did you mean %q?", suggestion)
			}
			c.diags.Errorf("bad-timezone", in.Timezone.Whole, hint, "unknown time zone %q", out.Timezone)
		}
	}
	var err error
	if out.Schedule, err = ParseSchedule(out.Cron, zone); err != nil && out.Cron != "" && !c.lib.Stored {
		c.diags.Errorf("bad-cron", in.Cron.Whole, `write five fields: minute, hour, day of the month, month, day of the week, e.g. "30 9 * * mon-fri"`, "not a cron expression: %s", err)
	}
	return out
}

func (c *flowCompiler) message(in *flow.MessageTrigger, s *expr.Scope) *Trigger {
	out := &Trigger{Kind: "whatsapp_message", Always: in.Always}
	out.Event = c.bindEvent(s, "whatsapp.message")
	if in.SenderPhoneID != nil {
		out.SenderPhoneID = in.SenderPhoneID.Value
		if strings.Trim(out.SenderPhoneID, "0123456789") != "" && !c.lib.Stored {
			c.diags.Errorf("bad-subject", in.SenderPhoneID.Whole, `a phone number ID has only digits, such as "106540352242922"; remove the key to accept messages to any number`,
				"sender_phone_id: %q is not a phone number ID of Meta, so no message would ever match", out.SenderPhoneID)
		}
	}
	c.when(out, in.When, s)
	return out
}

// when compiles the condition of a trigger; nil: all events match.
func (c *flowCompiler) when(out *Trigger, in *diag.Text, s *expr.Scope) {
	if in != nil {
		var yes expr.Facts
		out.When, yes, _ = c.condition(*in, s)
		s.Assume(yes)
	}
}

// bindEvent declares `event` and returns its kind, nil if the catalogue has none of that name.
func (c *flowCompiler) bindEvent(s *expr.Scope, kind string) *call.Event {
	event := c.lib.Catalog.Event(kind)
	if event == nil {
		s.Bind("event", schema.AnyType)
		return nil
	}
	s.Bind("event", event.Type)
	return event
}

// eventSource compiles who may send an event: the connection that proves it, or anybody.
func (c *flowCompiler) eventSource(in *diag.Text, event *call.Event, at diag.Range) (connection string, open bool) {
	app, name := "", ""
	if event != nil {
		app, name = event.App, event.Name
	}
	switch {
	case in == nil && app != "" && !c.lib.Stored:
		c.diags.Errorf("missing-connection", at, cmp.Or(c.connectionsHint("add connection: ", app), "add connection: with the name of a connection of app "+app)+", or connection: none to let anybody send it",
			"nothing says who may send the %s: it needs a connection", name)
		fallthrough
	case in == nil:
		return "", false
	case in.Value == NoConnection:
		return "", true
	}
	c.useConnection(*in, app, name)
	return in.Value, false
}
