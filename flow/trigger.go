package flow

import (
	"strconv"
	"strings"

	"facteur/flow/diag"
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
	_, ok := p.fields(n, "a trigger", "webhook", "schedule", "whatsapp_message")
	if !ok {
		return nil
	}
	if len(n.Entries) == 0 {
		p.errorf("no-kind", n.head(), "a trigger has one of webhook, schedule, whatsapp_message", "this trigger does not say what starts the flow")
		return nil
	}
	for _, e := range n.Entries[1:] {
		p.errorf("two-kinds", e.Key.Whole, "make two triggers of it", "a trigger is one thing: this one already has %q", n.Entries[0].Key.Value)
	}
	t := &Trigger{Range: n.head()}
	var in fields
	switch kind, value := n.Entries[0].Key.Value, n.Entries[0].Value; kind {
	case "webhook":
		if in, ok = p.fields(value, "`webhook`", "path", "connection", "dedupe", "inputs", "always"); !ok {
			return nil
		}
		in.need("path")
		t.Webhook = &WebhookTrigger{Connection: in.connection(), Dedupe: in.scalar("dedupe"), Always: in.boolean("always")}
		if path := in.literal("path"); path != nil {
			t.Webhook.Path = *path
			if !strings.HasPrefix(path.Value, "/") || strings.ContainsAny(path.Value, " ?#") {
				p.errorf("bad-path", path.Whole, "write it as /orders/shipped", "%q cannot be the path of a webhook", path.Value)
			}
		}
	case "schedule":
		if in, ok = p.fields(value, "`schedule`", "cron", "timezone", "missed", "inputs"); !ok {
			return nil
		}
		in.need("cron")
		t.Schedule = &ScheduleTrigger{Missed: in.choice("missed", "skip", "once")}
		if cron := in.literal("cron"); cron != nil {
			t.Schedule.Cron = *cron
			p.checkCron(*cron)
		}
		if zone := in.literal("timezone"); zone != nil {
			t.Schedule.Timezone = *zone
		}
	case "whatsapp_message":
		if in, ok = p.fields(value, "`whatsapp_message`", "sender_phone_id", "when", "inputs", "always"); !ok {
			return nil
		}
		t.Message = &MessageTrigger{SenderPhoneID: in.literal("sender_phone_id"), When: in.condition("when"), Always: in.boolean("always")}
	default: // an unknown key, reported
		return nil
	}
	t.Inputs = in.named("inputs", "an input")
	return t
}

// A cronField is one of the five fields of a cron expression.
type cronField struct {
	name        string
	least, most int
	words       string // names for the numbers from least on
}

var cronFields = [...]cronField{
	{"minute", 0, 59, ""},
	{"hour", 0, 23, ""},
	{"day of the month", 1, 31, ""},
	{"month", 1, 12, "jan feb mar apr may jun jul aug sep oct nov dec"},
	{"day of the week", 0, 7, "sun mon tue wed thu fri sat"},
}

// checkCron reports a text that is not five fields of lists of *, numbers, ranges and steps.
func (p *parser) checkCron(t diag.Text) {
	words := strings.Fields(t.Value)
	if len(words) != len(cronFields) {
		p.errorf("bad-cron", t.Whole, `minute, hour, day of the month, month, day of the week, e.g. "30 9 * * mon-fri"`,
			"a cron expression has 5 fields, this one has %d", len(words))
		return
	}
	at := 0
	for i, word := range words {
		at += strings.Index(t.Value[at:], word)
		if f := cronFields[i]; !f.holds(word) {
			p.errorf("bad-cron", t.Range(at, at+len(word)), "", "%q cannot be the %s, which is from %d to %d", word, f.name, f.least, f.most)
		}
		at += len(word)
	}
}

func (f cronField) holds(s string) bool {
	for part := range strings.SplitSeq(s, ",") {
		span, step, stepped := strings.Cut(part, "/")
		if n, err := strconv.Atoi(step); stepped && (err != nil || n < 1 || n > f.most) {
			return false
		}
		if span == "*" {
			continue
		}
		from, to, ranged := strings.Cut(span, "-")
		a, ok := f.number(from)
		if !ok {
			return false
		}
		if b, ok := f.number(to); ranged && (!ok || b < a) {
			return false
		}
	}
	return true
}

func (f cronField) number(s string) (n int, ok bool) {
	for i, word := range strings.Fields(f.words) {
		if strings.EqualFold(s, word) {
			return f.least + i, true
		}
	}
	n, err := strconv.Atoi(s)
	return n, err == nil && n >= f.least && n <= f.most
}

func (p *parser) concurrency(n *Node) *Concurrency {
	if n == nil {
		return nil
	}
	o, ok := p.fields(n, "`concurrency`", "key", "limit", "on_conflict")
	if !ok {
		return nil
	}
	return &Concurrency{
		Key:        o.scalar("key"),
		Limit:      o.integer("limit", 1, 1, 1_000_000),
		OnConflict: o.choice("on_conflict", "queue", "reject"),
		Range:      n.head(),
	}
}
