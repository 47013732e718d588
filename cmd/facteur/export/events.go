package export

import (
	"bytes"
	"fmt"
	"maps"
	"regexp"
	"time"

	"facteur/flow/call"
	"facteur/flow/host"
	"facteur/flow/schema"
)

// A testEvent is an event or receipt of the run, in the form of a test.
type testEvent struct {
	at     time.Time
	after  *recordedCall // the latest call before; nil: none was made
	fields map[string]any
}

// testEvents returns the events and receipts of the run, in order.
func (x *exporter) testEvents() []*testEvent {
	var found []*testEvent
	var latest *recordedCall
	current := map[string]*recordedCall{} // by step
	seen := map[string]bool{}             // ids of events
	for _, e := range x.report.Journal {
		if !x.report.Run.Ended.IsZero() && e.At.After(x.report.Run.Ended) {
			break
		}
		data := dataOf(e)
		key, _ := data["key"].(string)
		var fields map[string]any
		switch e.Kind {
		case "taken":
			latest = x.byKey[key]
			if latest != nil {
				current[latest.Step] = latest
			}
			continue
		case "received":
			fields = x.receipt(data, key, current)
		case "settled":
			fields = x.settled(data, key, current)
		case "arrived":
			id, _ := data["id"].(string)
			if !seen[id] {
				fields = x.event(data)
			}
			seen[id] = true
		}
		if fields == nil {
			continue
		}
		if latest != nil && latest.answered.After(e.At) {
			latest.slow = true
		}
		found = append(found, &testEvent{e.At, latest, fields})
	}
	return found
}

// dataOf reads the data of a journal's entry.
func dataOf(e host.Entry) map[string]any {
	data, _ := schema.ReadJSON(e.Data)
	object, _ := data.(map[string]any)
	return object
}

// receipt writes a receipt of a call as a test does; nil where a test cannot.
func (x *exporter) receipt(data map[string]any, key string, current map[string]*recordedCall) map[string]any {
	c := x.byKey[key]
	if c == nil {
		return nil
	}
	state, _ := data["state"].(string)
	if current[c.Step] != c {
		x.note("a receipt (%s) of attempt %d of %s came after another attempt began, which a test cannot hold", state, c.Attempt, c.Step)
		return nil
	}
	if state == call.Accepted {
		if c.Outcome != nil && c.Outcome.Status != call.Unknown {
			return nil // the answer says so
		}
		state = "sent" // the least that a test can say
	}
	fields := map[string]any{"receipt": c.Step, "status": state}
	told, _ := data["data"].(map[string]any)
	for _, name := range []string{"message_id", "wa_id", "user_id"} {
		if text, _ := told[name].(string); text != "" {
			fields[name] = x.anonymizer.text(text)
		}
	}
	if e, ok := data["error"].(map[string]any); ok {
		failure := map[string]any{"code": fmt.Sprint(e["code"])}
		if message, _ := e["message"].(string); message != "" {
			failure["title"] = x.anonymizer.text(message)
		}
		fields["error"] = failure
	}
	return fields
}

// settled writes a settlement of a call as a receipt.
func (x *exporter) settled(data map[string]any, key string, current map[string]*recordedCall) map[string]any {
	state := "failed"
	if yes, _ := data["happened"].(bool); yes {
		state = "sent"
	}
	receipt := map[string]any{"state": state, "data": map[string]any{"message_id": data["id"]}}
	if state == "failed" {
		receipt["error"] = map[string]any{"code": "not_sent", "message": "a person said that it was not sent"}
	}
	return x.receipt(receipt, key, current)
}

// event writes an event as a test does.
func (x *exporter) event(row map[string]any) map[string]any {
	data, _ := row["data"].(map[string]any)
	kind := x.kindOf(data)
	if kind == nil {
		x.note("an event that came is of none of the kinds that the flow waits for")
		return nil
	}
	fields := map[string]any{"event": kind.Name}
	for _, f := range kind.Type.Fields {
		v, ok := data[f.Name]
		if !ok || f.Name != kind.By && (isNothing(v) || !x.mentioned(f)) {
			continue
		}
		fields[f.Name] = x.anonymizer.value(v)
	}
	if headers, ok := fields["headers"].(map[string]any); ok {
		maps.DeleteFunc(headers, func(name string, _ any) bool { return secretHeader.MatchString(name) })
	}
	return fields
}

var secretHeader = regexp.MustCompile(`(?i)(authorization|cookie|signature|secret|token|key)`)

// kindOf returns the kind of an event that the flow waits for.
func (x *exporter) kindOf(data map[string]any) *call.Event {
	for _, name := range x.plan.Events {
		kind := x.Library.Catalog.Event(name)
		if kind == nil {
			continue
		}
		if _, found := kind.Type.Coerce(data); found.Err() == nil {
			return kind
		}
	}
	return nil
}

// mentioned reports whether a field is worth writing: times, and the raw notification, only if the
// flow reads them.
func (x *exporter) mentioned(f *schema.Field) bool {
	if f.Type.Kind != schema.Timestamp && f.Name != "raw" {
		return true
	}
	for _, source := range x.plan.Sources {
		if bytes.Contains(source.Text, []byte(f.Name)) {
			return true
		}
	}
	return false
}

func isNothing(v any) bool {
	switch v := v.(type) {
	case nil:
		return true
	case string:
		return v == ""
	case bool:
		return !v
	case map[string]any:
		return len(v) == 0
	case []any:
		return len(v) == 0
	}
	return false
}

// feed writes the events, timed relative to the calls of the last replay.
func (x *exporter) feed(found []*testEvent, made map[*recordedCall]time.Time) []string {
	first := map[string]*recordedCall{}
	for _, c := range x.calls {
		if first[c.Step] == nil {
			first[c.Step] = c
		}
	}
	var lines []string
	for _, h := range found {
		fields := maps.Clone(h.fields)
		if h.after == nil {
			fields["at"] = durationText(h.at.Sub(x.report.Run.Started))
		} else {
			in := h.at.Sub(h.after.Taken)
			if began := first[h.after.Step]; began != h.after {
				in += timeOf(made, h.after).Sub(timeOf(made, began))
			}
			if fields["receipt"] != h.after.Step {
				fields["after"] = h.after.Step
			}
			if in = max(0, in).Truncate(time.Millisecond); in > 0 {
				fields["in"] = durationText(in)
			}
		}
		lines = append(lines, keyOrder.Line(fields))
	}
	return lines
}

// timeOf is when the replay made a call, or when the run did if there was no replay yet.
func timeOf(made map[*recordedCall]time.Time, c *recordedCall) time.Time {
	if t, ok := made[c]; ok {
		return t
	}
	return c.Taken
}

func durationText(d time.Duration) string { return schema.FormatDuration(d.Truncate(time.Millisecond)) }
