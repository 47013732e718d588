package suite

import (
	"strconv"
	"time"

	"facteur/flow"
	"facteur/flow/call"
	"facteur/flow/diag"
	"facteur/flow/host"
	"facteur/flow/local"
	"facteur/flow/plan"
	"facteur/flow/schema"
)

// Events parses a file of events for a run of the plan that starts now: the list under
// `events:` of a test case, with or without that key.
func Events(name string, text []byte, p *plan.Plan, catalog call.Catalog, now time.Time) ([]local.Feed, diag.List) {
	root, diags := flow.ParseValue(name, text)
	if root == nil {
		return nil, diags
	}
	list := root.Get("events")
	shape := schema.Of[eventsShape]()
	if root.Kind == flow.ListNode {
		list, shape = root, schema.Of[[]eventShape]()
	}
	_, found := root.Coerce(shape)
	diags.Add(found)
	f := feedBuilder{catalog: catalog, plan: p, now: now}
	feed := f.list(list)
	diags.Add(f.diags)
	diags.Sort()
	return feed, diags
}

// A feedBuilder converts events and receipts of a test to a feed.
type feedBuilder struct {
	catalog call.Catalog
	plan    *plan.Plan
	now     time.Time // when the run starts
	diags   diag.List
}

func (f *feedBuilder) list(n *flow.Node) []local.Feed {
	if n == nil {
		return nil
	}
	var feed []local.Feed
	for _, item := range n.Items {
		if entry, ok := f.item(item); ok {
			feed = append(feed, entry)
		}
	}
	return feed
}

func (f *feedBuilder) item(n *flow.Node) (feed local.Feed, ok bool) {
	// Violations of its shape have been reported with the file.
	v, found := n.Coerce(eventType())
	var shape eventShape
	if found.HasErrors() || schema.Decode(v, &shape) != nil {
		return feed, false
	}
	before := len(f.diags)
	for _, key := range []string{"after", "receipt"} {
		if id := n.Get(key); id != nil {
			f.diags.Add(checkStep(id.Text, f.plan))
		}
	}
	feed = local.Feed{After: shape.After, In: shape.In}
	switch {
	case shape.At != nil && shape.After != "":
		f.diags.Errorf("test-conflict", n.Get("at").Range, "keep one of them", `"at" and "after" exclude each other`)
	case shape.At != nil:
		feed.At = *shape.At
	case shape.After == "" && shape.Receipt != "":
		feed.After = shape.Receipt
	case shape.After == "":
		f.diags.Errorf("incomplete-event", head(n), "write at: 5m, counted from the run's start, or after: STEP, counted from that step's call", "the event does not say when it comes")
	}
	if shape.In != 0 && feed.After == "" {
		f.diags.Errorf("test-conflict", n.Get("in").Range, "write after: STEP, in: 5s; or at: 5s", `"in" needs "after": it counts from the call of that step`)
	}
	switch {
	case shape.Event != "" && shape.Receipt != "":
		f.diags.Errorf("test-conflict", n.Get("receipt").Range, "split it into two events", `"receipt" and "event" exclude each other`)
	case shape.Event != "":
		feed.Event = f.event(n, shape, f.now.Add(feed.At+feed.In))
	case shape.Receipt != "":
		feed.Receipt, feed.Step = f.receipt(n, signatureOf(f.plan, idOf(shape.Receipt))), shape.Receipt
	default:
		f.diags.Errorf("incomplete-event", head(n), "write event: whatsapp.message, or receipt: STEP", "this is neither an event nor a receipt")
	}
	return feed, !f.diags[before:].HasErrors()
}

// head is the range of a map to point at.
func head(n *flow.Node) diag.Range {
	if n.Kind == flow.MapNode && len(n.Entries) > 0 {
		return n.Entries[0].Key.Whole
	}
	return n.Range
}

func (f *feedBuilder) event(n *flow.Node, shape eventShape, at time.Time) *host.Event {
	name := n.Get("event")
	kind := f.catalog.Event(name.Text.Value)
	if kind == nil {
		_, known := f.catalog.Names()
		f.diags.Errorf("unknown-event", name.Range, diag.DidYouMean(name.Text.Value, "events", known), "there is no event %q", name.Text.Value)
		return nil
	}
	data, found := eventData(kind, without(n, "at", "after", "in", "event", "connection"), at)
	f.diags.Add(found)
	if found.HasErrors() {
		return nil
	}
	event, found := eventOf(kind, data, n)
	f.diags.Add(found)
	event.Connection = shape.Connection
	return event
}

// eventOf returns an event of a kind with data.
func eventOf(kind *call.Event, data map[string]any, n *flow.Node) (event *host.Event, diags diag.List) {
	event = &host.Event{Name: kind.Name, Data: data}
	subject, _ := data[kind.By].(string)
	if kind.Subject != nil {
		var err error
		if subject, err = kind.Subject(subject); err != nil {
			diags.Errorf("bad-subject", n.Get(kind.By).Range, "", "%s: %s", kind.By, err)
		}
	}
	event.Subjects = []string{subject}
	return event, diags
}

// eventData returns the fields of an event by its kind. Fields that a real event always has
// and the test leaves out are empty, and its times are at.
func eventData(kind *call.Event, n *flow.Node, at time.Time) (map[string]any, diag.List) {
	lenient := *kind.Type
	lenient.Fields = make([]*schema.Field, len(kind.Type.Fields))
	var untyped []string
	for i, field := range kind.Type.Fields {
		lenient.Fields[i] = field
		if field.Name == kind.By || field.Default != nil {
			continue
		}
		relaxed := *field
		relaxed.Default = empty(field.Type, at)
		switch {
		case kind.Name == messageEvent && field.Name == "type":
			relaxed.Default = messageType(n)
		case kind.Name == messageEvent && field.Name == "message_id":
			relaxed.Default = "wamid.INBOUND" // mark_read requires one
		case relaxed.Default == nil:
			relaxed.Required = false
			untyped = append(untyped, field.Name)
		}
		lenient.Fields[i] = &relaxed
	}
	v, found := n.Coerce(&lenient)
	data, ok := v.(map[string]any)
	if !ok || found.HasErrors() {
		return nil, found
	}
	for _, name := range untyped {
		if _, ok := data[name]; !ok {
			data[name] = nil
		}
	}
	return data, found
}

const messageEvent = "whatsapp.message"

// messageType is the default type of a message.
func messageType(n *flow.Node) string {
	if n.Get("reply_id") != nil || n.Get("reply_title") != nil {
		return "interactive"
	}
	return "text"
}

// empty is the default of a field that a test leaves out; nil if there is none.
func empty(t *schema.Type, at time.Time) any {
	switch t.Kind {
	case schema.Timestamp:
		return at
	case schema.Duration:
		return nil // an unknown duration is not zero
	}
	return t.Zero()
}

// signatureOf returns the signature of a step's action; nil if it has none.
func signatureOf(p *plan.Plan, id string) *call.Signature {
	for _, f := range p.Flows() {
		for _, s := range f.AllSteps {
			if do, ok := s.Do.(*plan.Action); ok && s.ID == id {
				return do.Signature
			}
		}
	}
	return nil
}

func (f *feedBuilder) receipt(n *flow.Node, sig *call.Signature) *call.Receipt {
	v, found := without(n, "at", "after", "in", "receipt", "connection").Coerce(receiptType(sig))
	f.diags.Add(found)
	var shape receiptShape
	if found.HasErrors() || schema.Decode(v, &shape) != nil {
		return nil
	}
	data, _ := v.(map[string]any)
	receipt := &call.Receipt{State: shape.Status, Data: data}
	if e := shape.Error; e != nil {
		receipt.Error = &call.Error{Code: e.Code, Message: e.Message}
		if e.Message == "" {
			receipt.Error.Message = e.Title
		}
		receipt.Error.MetaCode, _ = strconv.ParseInt(e.Code, 10, 64) // 0 for a word
		receipt.Error.Details, _ = data["error"].(map[string]any)
	}
	return receipt
}
