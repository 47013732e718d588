package flow

import (
	"strconv"
	"strings"
)

func (p *parser) triggers(n *Node) []*Trigger {
	if n == nil {
		return nil
	}
	if n.Kind != ListNode {
		p.wrongKind(n, "`triggers`", "a list", "put a dash before each: - webhook: {path: /orders}")
		return nil
	}
	triggers := make([]*Trigger, 0, len(n.Items))
	for _, item := range n.Items {
		if t := p.trigger(item); t != nil {
			triggers = append(triggers, t)
		}
	}
	return triggers
}

func (p *parser) trigger(n *Node) *Trigger {
	o, ok := p.object(n, "a trigger", "webhook", "schedule", "whatsapp_message")
	if !ok {
		return nil
	}
	n = o.node
	if len(n.Entries) == 0 {
		p.errorf("no-kind", n.Head(), "a trigger has one of webhook, schedule, whatsapp_message", "this trigger does not say what starts the flow")
		return nil
	}
	for _, e := range n.Entries[1:] {
		p.errorf("two-kinds", e.Key.Whole, "split it into two triggers", "a trigger starts the flow in one way: this one already has %q", n.Entries[0].Key.Value)
	}
	t := &Trigger{Range: n.Head()}
	var in object
	switch kind, value := n.Entries[0].Key.Value, n.Entries[0].Value; kind {
	case "webhook":
		if in, ok = p.object(value, "`webhook`", "path", "connection", "when", "dedupe", "inputs", "always"); !ok {
			return nil
		}
		in.require("path")
		t.Webhook = &WebhookTrigger{Connection: in.connection(), When: in.condition("when"), Dedupe: in.scalar("dedupe"), Always: in.boolean("always")}
		if path := in.literal("path"); path != nil {
			t.Webhook.Path = *path
			if !strings.HasPrefix(path.Value, "/") || strings.ContainsAny(path.Value, " ?#") {
				hint := "write a path such as /orders/shipped"
				if !strings.ContainsAny(path.Value, " ?#") {
					hint = "write it as /" + path.Value
				}
				p.errorf("bad-path", path.Whole, hint, "%q cannot be the path of a webhook", path.Value)
			}
		}
	case "schedule":
		if value.Kind == TextNode {
			p.wrongKind(value, "`schedule`", "a map of keys and values", "write {cron: "+strconv.Quote(value.Text.Value)+"}")
			return nil
		}
		if in, ok = p.object(value, "`schedule`", "cron", "timezone", "missed", "inputs"); !ok {
			return nil
		}
		in.require("cron")
		t.Schedule = &ScheduleTrigger{Missed: in.choice("missed", "skip", "once")}
		if cron := in.literal("cron"); cron != nil {
			t.Schedule.Cron = *cron
		}
		if zone := in.literal("timezone"); zone != nil {
			t.Schedule.Timezone = *zone
		}
	case "whatsapp_message":
		if in, ok = p.object(value, "`whatsapp_message`", "sender_phone_id", "when", "inputs", "always"); !ok {
			return nil
		}
		t.Message = &MessageTrigger{SenderPhoneID: in.literal("sender_phone_id"), When: in.condition("when"), Always: in.boolean("always")}
	default: // an unknown key, which has been reported
		return nil
	}
	t.Inputs = in.bindings("inputs", "an input")
	return t
}

func (p *parser) concurrency(n *Node) *Concurrency {
	if n == nil {
		return nil
	}
	if n.Kind == IntNode {
		p.wrongKind(n, "`concurrency`", "a map of keys and values", "write {limit: "+n.Text.Value+"}")
		return nil
	}
	o, ok := p.object(n, "`concurrency`", "key", "limit", "on_conflict")
	if !ok {
		return nil
	}
	return &Concurrency{
		Key:        o.scalar("key"),
		Limit:      o.integer("limit", 1, 1, 1_000_000),
		OnConflict: o.choice("on_conflict", "queue", "reject"),
	}
}
