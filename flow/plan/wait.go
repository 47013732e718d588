package plan

import (
	"strings"

	"facteur/flow"
	"facteur/flow/call"
	"facteur/flow/diag"
	"facteur/flow/expr"
	"facteur/flow/schema"
)

func (c *flowCompiler) waitFor(step *flow.Step, in *flow.WaitFor, s *expr.Scope, place string) (Construct, *schema.Type, expr.Outcomes) {
	out := &WaitFor{Continue: in.OnTimeout == "continue" || in.OnTimeout == "steps"}
	event := c.lib.Catalog.Event(in.Event.Value)
	eventType, outputs := schema.AnyType, openObject
	if event != nil {
		out.Event = event
		eventType, outputs = event.Type, onSuccess(event.Type)
		c.plan.Events = append(c.plan.Events, event.Name)
	} else if in.Event.Value != "" {
		_, known := c.lib.Catalog.Names()
		c.diags.Errorf("unknown-event", in.Event.Whole, diag.DidYouMean(in.Event.Value, "events", known), "there is no event %q", in.Event.Value)
	}
	if out.Connection, out.Open = c.eventSource(in.Connection, event, in.Range); in.Connection != nil && event != nil && !event.Connection {
		c.diags.Errorf("unknown-key", in.Connection.Whole, "remove it", "%s takes no connection", event.Name)
	}
	c.subject(in, event, out, s)
	if in.When != nil {
		inside := s.Fork()
		inside.Bind("event", eventType)
		out.When, _, _ = c.condition(*in.When, inside)
	}
	out.Timeout = c.valueOrNil(in.Timeout, schema.DurationType, s)
	out.Until = c.valueOrNil(in.Until, schema.TimestampType, s)
	if out.Continue && in.Timeout == nil && in.Until == nil {
		c.diags.Errorf("missing-key", in.Range, "add timeout or until to wait_for", "on_timeout without a timeout is never reached")
	}
	if !out.Continue {
		return out, outputs, 0
	}
	timedOut := s.Fork()
	if step.ID.Value != "" {
		timedOut.SetStep(step.ID.Value, expr.Step{Outputs: outputs, Outcomes: expr.Failed})
	}
	out.OnTimeout = c.block(in.Steps, timedOut, place+"on_timeout.")
	var after joinPoint
	after.add(s, false)
	after.add(timedOut, alwaysEnds(in.Steps))
	after.join(s)
	if alwaysEnds(in.Steps) {
		return out, outputs, 0
	}
	return out, outputs, expr.Failed
}

// onSuccess returns the type of an event as the outputs of a step: after a time-out none of
// its fields is there.
func onSuccess(event *schema.Type) *schema.Type {
	if event.Kind != schema.Object {
		return openObject
	}
	out := *event
	out.Fields = make([]*schema.Field, len(event.Fields))
	for i, f := range event.Fields {
		field := *f
		field.Always = false
		out.Fields[i] = &field
	}
	return &out
}

// subject compiles the key of wait_for that says whose events are meant.
func (c *flowCompiler) subject(in *flow.WaitFor, event *call.Event, out *WaitFor, s *expr.Scope) {
	keys := [...]struct {
		name string
		node *flow.Node
	}{{"from", in.From}, {"path", in.Path}}
	for _, k := range keys {
		switch {
		case event == nil:
			c.valueOrNil(k.node, schema.StringType, s)
		case event.By == k.name && k.node == nil && (in.From != nil || in.Path != nil): // the other key is reported as unknown
		case event.By == k.name && k.node == nil:
			c.diags.Errorf("missing-key", in.Range, "add "+k.name+": to wait_for, with an input or text", "%s needs %s, which says whose events to wait for", event.Name, k.name)
		case event.By == k.name:
			before := len(c.diags)
			out.Subject = c.value(k.node, schema.StringType, s)
			if out.Open && strings.Trim(out.Subject.Prefix(), "/ ") == "" && !c.lib.Stored {
				c.diags.Errorf("bad-subject", k.node.Range, "start it with text, such as /payments/${…}, or name a connection", "%s starts with an expression, so anybody could send to any %s", k.name, k.name)
			}
			text, ok := out.Subject.literal.(string)
			if !ok || event.Subject == nil || c.lib.Stored {
				continue
			}
			if _, err := event.Subject(text); err != nil {
				hint := ""
				if reported := c.diags[before:]; len(reported) == 1 && reported[0].Code == "bare-expression" {
					hint, c.diags = reported[0].Hint, c.diags[:before]
				}
				c.diags.Errorf("bad-subject", k.node.Range, hint, "%s: %s", k.name, err)
			}
		case k.node != nil:
			c.diags.Errorf("unknown-key", k.node.Range, "write "+event.By+":", "%s takes no %s", event.Name, k.name)
		}
	}
}
