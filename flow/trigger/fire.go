package trigger

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"facteur/flow/expr"
	"facteur/flow/host"
	"facteur/flow/plan"
)

// Fire starts the flows whose triggers an event fits; of an event that a run has claimed
// only those with `always`. A flow starts once, by its first trigger that fits. Called
// again with the same event, it starts nothing twice.
//
// An expression that cannot be evaluated starts nothing: it is logged and counted as
// Failed, and the event is done with. The error is that of a host that could not start a
// run: then Fire has to be called again. It waits until Set and Serve were called.
func (s *Starter) Fire(ctx context.Context, e host.Event, claimed bool) error {
	if err := wait(ctx, s.set); err != nil {
		return err
	}
	var all []error
	var done *plan.Plan // what needs no further trigger
	vars := variables{event: e}
	for _, c := range s.table.Load().candidates(e) {
		if c.plan == done || claimed && !c.trigger.Always {
			continue
		}
		v := vars.of(c)
		fits, err := holds(c.trigger, v)
		if err != nil {
			s.failed(c, v, e.ID, "when", err)
		}
		if !fits {
			continue
		}
		done = c.plan
		if err := s.begin(ctx, c, e, v); err != nil {
			all = append(all, fmt.Errorf("start %s: %w", c.plan.Name, err))
		}
	}
	return errors.Join(all...)
}

// Fires tells whether there is a trigger that an event may fit: without one Fire does nothing.
func (s *Starter) Fires(e host.Event) bool {
	t := s.table.Load()
	return t == nil || len(t.candidates(e)) > 0
}

// candidates are the triggers that an event may fit.
func (t *table) candidates(e host.Event) []candidate {
	switch {
	case e.Name == "whatsapp.message":
		sender, _ := e.Data["sender_phone_id"].(string)
		if found, ok := t.bySender[sender]; ok {
			return found
		}
		return t.bySender[""]
	case e.Name != "webhook":
		return nil
	}
	var found []candidate
	for _, path := range e.Subjects {
		for _, c := range t.byPath[path] {
			if c.trigger.Connection == "" || e.Connection == "" || c.trigger.Connection == e.Connection {
				found = append(found, c)
			}
		}
	}
	return found
}

// A variables is what the expressions of triggers read of one event.
type variables struct {
	event host.Event
	data  any // in the form of the kind's type, once it is needed
}

func (v *variables) of(c candidate) expr.Vars {
	if v.data == nil {
		v.data = v.event.Data
		if kind := c.trigger.Event; kind != nil { // a stored event has its times as texts
			if typed, found := kind.Type.Coerce(v.event.Data); found.Err() == nil {
				v.data = typed
			}
		}
	}
	out := outside(c.plan)
	out["event"] = v.data
	return expr.Vars{Values: out, Now: v.event.At}
}

// outside is what an expression reads before there is a run.
func outside(p *plan.Plan) expr.Map {
	settings := p.Settings
	if settings == nil {
		settings = map[string]any{}
	}
	return expr.Map{"settings": settings, "run": map[string]any{}}
}

func holds(t *plan.Trigger, v expr.Vars) (bool, error) {
	if t.When == nil {
		return true, nil
	}
	x, err := t.When.Eval(v)
	yes, _ := x.(bool)
	return yes, err
}

// begin starts a run for an event. The error is the host's.
func (s *Starter) begin(ctx context.Context, c candidate, e host.Event, v expr.Vars) error {
	key, err := keyOf(c.trigger, e, v)
	if err != nil {
		s.failed(c, v, e.ID, "dedupe", err)
		return nil
	}
	by := "message to " + c.trigger.SenderPhoneID
	switch {
	case c.trigger.Kind == "webhook":
		by = "webhook " + c.trigger.Path
	case c.trigger.SenderPhoneID == "":
		by = "message"
	}
	return s.startWith(ctx, c, e.ID, by, c.plan.Name+" "+key, v)
}

// startWith starts a run whose inputs are the trigger's. The error is the host's.
func (s *Starter) startWith(ctx context.Context, c candidate, event, by, key string, v expr.Vars) error {
	inputs, err := inputsOf(c, v)
	if err != nil {
		s.failed(c, v, event, "inputs", err)
		return nil
	}
	run, fresh, err := s.start(ctx, c.plan, host.Start{Inputs: inputs, Key: key, By: by})
	_, stopping := errors.AsType[*host.StoppingError](err)
	switch {
	case stopping, err != nil && ctx.Err() != nil: // the next start of the daemon tries it again
	case err != nil:
		s.count(c.plan, c.trigger, Refused)
		s.Log.Error("a flow could not be started; it is tried again", "flow", c.plan.Name, "trigger", describe(c.trigger), "event", event, "error", err)
	case fresh:
		s.count(c.plan, c.trigger, Started)
		s.Log.Info("a trigger started a run", "flow", c.plan.Name, "trigger", describe(c.trigger), "event", event, "run", run.ID)
	default:
		s.count(c.plan, c.trigger, Repeated)
	}
	return err
}

// keyOf is the same for what is to start one run.
func keyOf(t *plan.Trigger, e host.Event, v expr.Vars) (string, error) {
	id := "event " + e.ID
	if t.Dedupe != nil {
		x, err := t.Dedupe.Eval(v)
		if err != nil {
			return "", err
		}
		if _, none := x.(expr.Absent); !none && x != nil {
			text, err := json.Marshal(x)
			if err != nil {
				return "", err
			}
			id = "value " + string(text)
		}
	}
	return describe(t) + " " + id, nil
}

func inputsOf(c candidate, v expr.Vars) (map[string]any, error) {
	x, err := c.trigger.Inputs.Eval(v)
	if err != nil {
		return nil, err
	}
	coerced, found := c.plan.Inputs.Coerce(x)
	if found.Err() != nil {
		discreet := *c.plan.Inputs
		discreet.Sensitive = true // the error is for the log, which shows nobody's words
		_, found = discreet.Coerce(x)
		return nil, found.Err()
	}
	inputs, _ := coerced.(map[string]any)
	return inputs, nil
}

// describe tells a trigger from the flow's others. It is part of keys, so that it stays
// the same when the flow is changed elsewhere.
func describe(t *plan.Trigger) string {
	switch t.Kind {
	case "webhook":
		return "webhook " + t.Path
	case "schedule":
		return "schedule " + t.Cron + " " + t.Timezone
	}
	return t.Kind
}

// failed says that something started no run because of what the flow says.
func (s *Starter) failed(c candidate, v expr.Vars, event, key string, err error) {
	s.count(c.plan, c.trigger, Failed)
	args := []any{"flow", c.plan.Name, "trigger", describe(c.trigger), "event", event, "key", key, "error", err}
	if e := (*expr.EvalError)(nil); errors.As(err, &e) && e.Range.Source != nil {
		args = append(args, "at", e.Range.Position(), "expression", e.Expression)
	}
	if c.trigger.Kind == "webhook" {
		values, _ := v.Values.(expr.Map)
		data, _ := values["event"].(map[string]any)
		if _, isText := data["body"].(string); isText {
			args = append(args, "hint", "what came is no JSON object, so event.body is a text")
		}
	}
	s.Log.Error("a flow was not started: its trigger could not be evaluated", args...)
}
