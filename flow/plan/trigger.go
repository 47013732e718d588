package plan

import (
	"bytes"
	"time"

	"facteur/flow"
	"facteur/flow/diag"
	"facteur/flow/expr"
	"facteur/flow/schema"

	"github.com/robfig/cron/v3"
)

func (c *flowCompiler) triggers() {
	for _, t := range c.flow.Triggers {
		out := &Trigger{}
		s := expr.NewScope()
		s.Bind("settings", c.settings)
		switch {
		case t.Webhook != nil:
			out.Kind, out.Path, out.Always = "webhook", t.Webhook.Path.Value, t.Webhook.Always
			c.bindEvent(s, "webhook")
			if t.Webhook.Connection != nil {
				out.Connection = t.Webhook.Connection.Value
				c.plan.Connections = append(c.plan.Connections, out.Connection)
			}
			if t.Webhook.Dedupe != nil {
				out.Dedupe = c.value(t.Webhook.Dedupe, schema.StringType, s)
			}
		case t.Schedule != nil:
			out.Kind, out.Missed = "schedule", t.Schedule.Missed
			out.Cron, out.Timezone = t.Schedule.Cron.Value, t.Schedule.Timezone.Value
			if _, err := cron.ParseStandard(out.Cron); err != nil {
				c.diags.Errorf("bad-cron", t.Schedule.Cron.Whole, `five fields, minute hour day month weekday, e.g. "0 9 * * 1-5"`, "not a cron expression: %s", err)
			}
			if _, err := time.LoadLocation(out.Timezone); err != nil {
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
		out.Inputs = c.value(inputs, c.plan.Inputs, s)
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

// lint warns about what is allowed but surely not meant.
func (c *flowCompiler) lint() {
	for _, in := range c.flow.Inputs {
		if name := in.Name.Value; name != "" && !mentions(c.flow.Source, name) {
			c.diags.Warnf("unused-input", in.Name.Whole, "remove it, or use it as ${inputs."+name+"}", "no expression reads the input %q", name)
		}
	}
}

// mentions tells whether the text of a flow may read an input: by name, or by a way
// that cannot be told from the text.
func mentions(src *diag.Source, name string) bool {
	text := src.Text
	for i := 0; ; {
		k := indexFrom(text, "inputs", i)
		if k < 0 {
			return false
		}
		i = k + len("inputs")
		rest := text[i:]
		switch {
		case len(rest) > 0 && rest[0] == ':' && (k == 0 || text[k-1] == '\n'): // the declaration
		case len(rest) > 0 && (rest[0] == '.' || rest[0] == '['):
			rest = rest[1:]
			for len(rest) > 0 && (rest[0] == '?' || rest[0] == '"' || rest[0] == '\'') {
				rest = rest[1:]
			}
			if len(rest) >= len(name) && string(rest[:len(name)]) == name && (len(rest) == len(name) || !wordByte(rest[len(name)])) {
				return true
			}
			if len(rest) > 0 && !wordByte(rest[0]) {
				return true // computed
			}
		case len(rest) > 0 && (rest[0] == ')' || rest[0] == ' ' || rest[0] == '}' || rest[0] == ','):
			return true // read as a whole
		}
	}
}

func indexFrom(text []byte, word string, from int) int {
	k := bytes.Index(text[from:], []byte(word))
	if k < 0 {
		return -1
	}
	return from + k
}

func wordByte(b byte) bool {
	return b == '_' || b >= '0' && b <= '9' || b >= 'a' && b <= 'z' || b >= 'A' && b <= 'Z'
}
