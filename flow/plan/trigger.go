package plan

import (
	"errors"
	"strings"
	"time"

	"facteur/flow"
	"facteur/flow/expr"
	"facteur/flow/schema"

	"github.com/robfig/cron/v3"
)

func (c *flowCompiler) triggers() {
	for _, t := range c.flow.Triggers {
		out := &Trigger{}
		s := c.outside()
		switch {
		case t.Webhook != nil:
			out.Kind, out.Path, out.Always = "webhook", t.Webhook.Path.Value, t.Webhook.Always
			c.bindEvent(s, "webhook")
			if t.Webhook.Connection != nil {
				out.Connection = t.Webhook.Connection.Value
				c.plan.Connections = append(c.plan.Connections, out.Connection)
			}
			out.Dedupe = c.valueOrNil(t.Webhook.Dedupe, schema.StringType, s)
		case t.Schedule != nil:
			out.Kind, out.Missed = "schedule", t.Schedule.Missed
			out.Cron, out.Timezone = t.Schedule.Cron.Value, t.Schedule.Timezone.Value
			if err := parseCron(out.Cron); err != nil && out.Cron != "" && !c.lib.Stored {
				c.diags.Errorf("bad-cron", t.Schedule.Cron.Whole, `five fields: minute, hour, day of the month, month, day of the week, e.g. "30 9 * * mon-fri"`, "not a cron expression: %s", err)
			}
			// "Local" is a place that differs from machine to machine.
			if _, err := time.LoadLocation(out.Timezone); (err != nil || out.Timezone == "Local") && !c.lib.Stored {
				c.diags.Errorf("bad-timezone", t.Schedule.Timezone.Whole, "a name such as Europe/Paris", "unknown time zone %q", out.Timezone)
			}
		case t.Message != nil:
			out.Kind, out.Always = "whatsapp_message", t.Message.Always
			c.bindEvent(s, "whatsapp.message")
			if t.Message.SenderPhoneID != nil {
				out.SenderPhoneID = t.Message.SenderPhoneID.Value
			}
			if t.Message.When != nil {
				var yes expr.Facts
				out.When, yes, _ = c.condition(*t.Message.When, s)
				s.Assume(yes)
			}
		}
		inputs := &flow.Node{Kind: flow.MapNode, Range: t.Range}
		for _, b := range t.Inputs {
			inputs.Entries = append(inputs.Entries, flow.Entry{Key: b.Name, Value: b.Value})
		}
		out.Inputs = c.with(inputs, t.Range, c.plan.Inputs, s)
		c.plan.Triggers = append(c.plan.Triggers, out)
	}
}

func (c *flowCompiler) bindEvent(s *expr.Scope, kind string) {
	t := schema.AnyType
	if event := c.lib.Catalog.Event(kind); event != nil {
		t = event.Type
	}
	s.Bind("event", t)
}

func parseCron(text string) error {
	if strings.Contains(text, "=") {
		return errors.New("the time zone has a key of its own, timezone")
	}
	_, err := cron.NewParser(cron.Minute | cron.Hour | cron.Dom | cron.Month | cron.Dow).Parse(text)
	return err
}
