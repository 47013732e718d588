package trigger

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"facteur/flow/expr"
	"facteur/flow/host"
	"facteur/flow/plan"
)

// Fire starts the flows whose triggers match an event; if a run has claimed it, only those with
// `always`. A flow is started once, by its first trigger that matches. Called again with the
// same event, it starts nothing twice.
//
// A trigger whose expression cannot be evaluated starts nothing: that is logged and counted as
// Failed, and is no error. The error is that of a host that could not start a run: then Fire
// has to be called again. It waits until Set and Serve were called.
func (s *Starter) Fire(ctx context.Context, e host.Event, claimed bool) error {
	if err := waitFor(ctx, s.set); err != nil {
		return err
	}
	var all []error
	var done *plan.Plan // the latest that was started
	vars := eventVars{event: e}
	for _, c := range s.table.Load().onEvents {
		if c.plan == done || claimed && !c.trigger.Always || !c.takes(e) {
			continue
		}
		v := vars.of(c)
		ok, err := matches(c.trigger, v)
		if err != nil {
			s.logFailure(c, v, e.ID, "when", err)
		}
		if !ok {
			continue
		}
		done = c.plan
		if err := s.startForEvent(ctx, c, e, v); err != nil {
			all = append(all, fmt.Errorf("start %s: %w", c.plan.Name, err))
		}
	}
	return errors.Join(all...)
}

// Fires reports whether there is a trigger that an event may match: without one Fire does
// nothing.
func (s *Starter) Fires(e host.Event) bool {
	t := s.table.Load()
	return t == nil || slices.ContainsFunc(t.onEvents, func(c candidate) bool { return c.takes(e) })
}

// takes reports whether an event may match, before `when`.
func (c candidate) takes(e host.Event) bool {
	switch t := c.trigger; t.Kind {
	case "whatsapp_message":
		return e.Name == "whatsapp.message" && (t.SenderPhoneID == "" || t.SenderPhoneID == e.Data["sender_phone_id"])
	case "webhook":
		return e.Name == "webhook" && slices.Contains(e.Subjects, t.Path) &&
			(t.Connection == "" || e.Connection == "" || t.Connection == e.Connection)
	}
	return false
}

// eventVars are the variables of triggers' expressions for one event.
type eventVars struct {
	event host.Event
	data  any // coerced to the event's type; nil until it is needed
}

func (v *eventVars) of(c candidate) expr.Vars {
	if v.data == nil {
		v.data = v.event.Data
		if kind := c.trigger.Event; kind != nil { // a stored event has times as strings
			if typed, found := kind.Type.Coerce(v.event.Data); found.Err() == nil {
				v.data = typed
			}
		}
	}
	out := baseVars(c.plan)
	out["event"] = v.data
	return expr.Vars{Values: out, Now: v.event.At}
}

// baseVars are the variables of an expression outside a run.
func baseVars(p *plan.Plan) expr.Map {
	settings := p.Settings
	if settings == nil {
		settings = map[string]any{}
	}
	return expr.Map{"settings": settings, "run": map[string]any{}}
}

func matches(t *plan.Trigger, v expr.Vars) (bool, error) {
	if t.When == nil {
		return true, nil
	}
	x, err := t.When.Eval(v)
	yes, _ := x.(bool)
	return yes, err
}

// startForEvent starts a run for an event. The error is the host's: failures of expressions are
// only logged.
func (s *Starter) startForEvent(ctx context.Context, c candidate, e host.Event, v expr.Vars) error {
	key, err := dedupeKey(c.trigger, e, v)
	if err != nil {
		s.logFailure(c, v, e.ID, "dedupe", err)
		return nil
	}
	by := "message to " + c.trigger.SenderPhoneID
	switch {
	case c.trigger.Kind == "webhook":
		by = "webhook " + c.trigger.Path
	case c.trigger.SenderPhoneID == "":
		by = "message"
	}
	return s.startTriggered(ctx, c, e.ID, by, c.plan.Name+" "+key, v)
}

// startTriggered starts a run with the trigger's inputs. The error is the host's, as in
// startForEvent.
func (s *Starter) startTriggered(ctx context.Context, c candidate, event, by, key string, v expr.Vars) error {
	inputs, err := inputsOf(c, v)
	if err != nil {
		s.logFailure(c, v, event, "inputs", err)
		return nil
	}
	run, fresh, err := s.startRun(ctx, c.plan, host.Start{Inputs: inputs, Key: key, By: by})
	_, stopping := errors.AsType[*host.StoppingError](err)
	switch {
	case stopping, err != nil && ctx.Err() != nil: // it is tried again when the daemon has started again
	case err != nil:
		s.count(c.plan, c.trigger, Refused)
		s.Log.Error("a flow could not be started; trying again", "flow", c.plan.Name, "trigger", triggerName(c.trigger), "event", event, "error", err)
	case fresh:
		s.count(c.plan, c.trigger, Started)
		s.Log.Info("a trigger started a run", "flow", c.plan.Name, "trigger", triggerName(c.trigger), "event", event, "run", run.ID)
	default:
		s.count(c.plan, c.trigger, Repeated)
	}
	return err
}

// dedupeKey returns a key that is the same for events that must start only one run.
func dedupeKey(t *plan.Trigger, e host.Event, v expr.Vars) (string, error) {
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
	return triggerName(t) + " " + id, nil
}

func inputsOf(c candidate, v expr.Vars) (map[string]any, error) {
	x, err := c.trigger.Inputs.Eval(v)
	if err != nil {
		return nil, err
	}
	coerced, found := c.plan.Inputs.Coerce(x)
	if found.Err() != nil {
		masked := *c.plan.Inputs
		masked.Sensitive = true // the error goes to the log, which must not have message texts
		_, found = masked.Coerce(x)
		return nil, found.Err()
	}
	inputs, _ := coerced.(map[string]any)
	return inputs, nil
}

// triggerName returns a name that is unique among the flow's triggers. It is part of idempotency
// keys, so it depends on nothing else in the flow.
func triggerName(t *plan.Trigger) string {
	switch t.Kind {
	case "webhook":
		return "webhook " + t.Path
	case "schedule":
		return "schedule " + t.Cron + " " + t.Timezone
	}
	return t.Kind
}

// logFailure logs, and counts, that a trigger started no run because its expression failed.
func (s *Starter) logFailure(c candidate, v expr.Vars, event, key string, err error) {
	s.count(c.plan, c.trigger, Failed)
	args := []any{"flow", c.plan.Name, "trigger", triggerName(c.trigger), "event", event, "key", key, "error", err}
	if e := (*expr.EvalError)(nil); errors.As(err, &e) && e.Range.Source != nil {
		args = append(args, "at", e.Range.Position(), "expression", e.Expression)
	}
	if c.trigger.Kind == "webhook" {
		values, _ := v.Values.(expr.Map)
		data, _ := values["event"].(map[string]any)
		if _, isText := data["body"].(string); isText {
			args = append(args, "hint", "the body is not a JSON object, so event.body is text")
		}
	}
	s.Log.Error("a flow was not started: its trigger could not be evaluated", args...)
}
