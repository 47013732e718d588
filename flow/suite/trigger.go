package suite

import (
	"fmt"
	"slices"
	"strings"

	"facteur/flow"
	"facteur/flow/diag"
	"facteur/flow/expr"
	"facteur/flow/plan"
	"facteur/flow/schema"
)

// start determines the inputs of a case's run.
func (l *loader) start(c *Case, n *flow.Node) {
	inputs, file, trigger := n.Get("inputs"), n.Get("inputs_file"), n.Get("trigger")
	if file != nil {
		c.inputFile = file.Text
		if inputs != nil {
			l.conflict(inputs.Range, "inputs", "inputs_file")
		}
	}
	switch {
	case trigger == nil && inputs == nil && file != nil:
		return
	case trigger == nil:
		c.setInputs(inputs)
		return
	case inputs != nil:
		l.conflict(inputs.Range, "inputs", "trigger")
	case file != nil:
		l.conflict(file.Range, "inputs_file", "trigger")
	}
	if len(trigger.Entries) != 1 {
		l.diags.Errorf("test-conflict", trigger.Range, "keep one of whatsapp_message, webhook and schedule", "exactly one trigger starts a run, not %d", len(trigger.Entries))
		return
	}
	kind := trigger.Entries[0]
	c.inputs = l.triggerInputs(c, kind.Key, kind.Value)
}

// setInputs coerces the inputs of a case, or sets startErrors. n is nil for none.
func (c *Case) setInputs(n *flow.Node) {
	at := n
	if at == nil {
		at = &flow.Node{Kind: flow.MapNode, Range: c.Range}
	}
	v, found := at.Coerce(c.plan.Inputs)
	for i := range found {
		found[i].Message = "inputs: " + found[i].Message
		if n == nil {
			found[i].Range = c.Range
		}
	}
	c.inputs, c.startErrors = nil, nil
	if found.HasErrors() {
		c.startErrors = found
		return
	}
	c.inputs, _ = v.(map[string]any)
}

// triggerInputs returns the inputs that a trigger of the flow makes of its event.
func (l *loader) triggerInputs(c *Case, kind diag.Text, n *flow.Node) map[string]any {
	vars := map[string]any{"settings": orEmpty(c.plan.Settings)}
	var data map[string]any
	if name := eventOfTrigger(kind.Value); name != "" {
		event := l.lib.Catalog.Event(name)
		if event == nil {
			l.diags.Errorf("unknown-event", kind.Whole, "", "there is no event %q", name)
			return nil
		}
		var found diag.List
		if data, found = eventData(event, n, c.now); found.HasErrors() {
			l.diags.Add(found)
			return nil
		}
		if c.startEvent, found = eventOf(event, data, n); found.HasErrors() {
			l.diags.Add(found)
			return nil
		}
		c.startEvent.At = c.now
		vars["event"] = data
	}
	why, hint := "it has no "+kind.Value+" trigger", ""
	for i, t := range c.plan.Triggers {
		if t.Kind != kind.Value {
			continue
		}
		if why, hint = mismatchReason(t, n, data, expr.Vars{Values: expr.Map(vars), Now: c.now}), ""; why != "" {
			if when := whenOf(l.flow.Triggers[i]); when != "" {
				hint = strings.Join(valuesRead(when, vars), ", ")
			}
			continue
		}
		v, err := t.Inputs.Eval(expr.Vars{Values: expr.Map(vars), Now: c.now})
		if err != nil {
			why, hint = "the trigger's inputs cannot be evaluated: "+err.Error(), "if an event may lack a value, give it a fallback, such as "+
				`${event.body.?name.orValue("")}, or give the trigger a when`
			break
		}
		coerced, found := c.plan.Inputs.Coerce(v)
		if err := found.Err(); err != nil {
			hint := ""
			if slices.ContainsFunc(found, func(v schema.Violation) bool { return v.Rule == "type" }) {
				hint = "convert a value of another type, such as ${string(event.body.number)}"
			}
			c.startErrors.Errorf("not-triggered", kind.Whole, hint, "the trigger's inputs are not valid for the flow: %s", err)
			return nil
		}
		inputs, _ := coerced.(map[string]any)
		return inputs
	}
	if c.expect.code.Value == notTriggered {
		c.startErrors.Errorf("not-triggered", kind.Whole, hint, "this does not start the flow: %s", why)
		return nil
	}
	if hint != "" {
		hint += "; if it is right that nothing starts, write expect: {error: {code: not_triggered}}"
	}
	l.diags.Errorf("not-triggered", kind.Whole, hint, "this does not start the flow: %s", why)
	return nil
}

// whenOf returns the condition of a trigger, "" without one.
func whenOf(t *flow.Trigger) string {
	switch {
	case t.Message != nil && t.Message.When != nil:
		return t.Message.When.Value
	case t.Webhook != nil && t.Webhook.When != nil:
		return t.Webhook.When.Value
	}
	return ""
}

// eventOfTrigger returns the kind of event of a trigger, "" for none.
func eventOfTrigger(trigger string) string {
	switch trigger {
	case "whatsapp_message":
		return messageEvent
	case "webhook":
		return "webhook"
	}
	return ""
}

// mismatchReason says why a trigger does not start the flow; "" if it does.
func mismatchReason(t *plan.Trigger, n *flow.Node, data map[string]any, vars expr.Vars) string {
	switch t.Kind {
	case "schedule":
		if cron := n.Get("cron"); cron != nil && cron.Text.Value != t.Cron {
			return fmt.Sprintf("its schedule is %q", t.Cron)
		}
	case "webhook":
		if path, _ := data["path"].(string); strings.Trim(path, "/") != strings.Trim(t.Path, "/") {
			return fmt.Sprintf("its webhook has the path %q", t.Path)
		}
	case "whatsapp_message":
		switch to, _ := data["sender_phone_id"].(string); {
		case t.SenderPhoneID == "" || to == t.SenderPhoneID:
		case to == "":
			data["sender_phone_id"] = t.SenderPhoneID
		default:
			return fmt.Sprintf("its trigger is for messages to %s", t.SenderPhoneID)
		}
	}
	if t.When == nil {
		return ""
	}
	yes, err := t.When.Eval(vars)
	switch {
	case err != nil:
		return "the trigger's when cannot be evaluated: " + err.Error()
	case yes != true:
		return "the trigger's when is false"
	}
	return ""
}

func orEmpty(m map[string]any) map[string]any {
	if m == nil {
		return map[string]any{}
	}
	return m
}
