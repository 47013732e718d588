package server

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"facteur/flow/machine"
	"facteur/flow/plan"
)

// Handler returns a handler of log lines that hides the phone numbers in them: those with
// a plus, and the same digits in the same line.
func (v View) Handler(to slog.Handler) slog.Handler {
	if v.Numbers {
		return to
	}
	return discreet{to}
}

// A discreet handler hides phone numbers.
type discreet struct{ slog.Handler }

// Handle implements slog.Handler.
func (h discreet) Handle(ctx context.Context, r slog.Record) error {
	known := numbers{}
	known.find(r.Message)
	r.Attrs(func(a slog.Attr) bool {
		known.findIn(a.Value)
		return true
	})
	shows := known.text(r.Message) != r.Message
	r.Attrs(func(a slog.Attr) bool {
		shows = shows || known.in(a.Value)
		return !shows
	})
	if !shows {
		return h.Handler.Handle(ctx, r)
	}
	out := slog.NewRecord(r.Time, r.Level, known.text(r.Message), r.PC)
	r.Attrs(func(a slog.Attr) bool {
		out.AddAttrs(known.attr(a))
		return true
	})
	return h.Handler.Handle(ctx, out)
}

// WithAttrs implements slog.Handler.
func (h discreet) WithAttrs(attrs []slog.Attr) slog.Handler {
	hidden := make([]slog.Attr, len(attrs))
	for i, a := range attrs {
		known := numbers{}
		known.findIn(a.Value)
		hidden[i] = known.attr(a)
	}
	return discreet{h.Handler.WithAttrs(hidden)}
}

// WithGroup implements slog.Handler.
func (h discreet) WithGroup(name string) slog.Handler { return discreet{h.Handler.WithGroup(name)} }

// findIn remembers the numbers in an attribute.
func (n numbers) findIn(v slog.Value) {
	switch v = v.Resolve(); v.Kind() {
	case slog.KindGroup:
		for _, a := range v.Group() {
			n.findIn(a.Value)
		}
	case slog.KindString:
		n.find(v.String())
	case slog.KindAny:
		n.find(fmt.Sprint(v.Any()))
	}
}

// in tells whether there is something to hide in an attribute.
func (n numbers) in(v slog.Value) bool {
	text := ""
	switch v = v.Resolve(); v.Kind() {
	case slog.KindGroup:
		return slices.ContainsFunc(v.Group(), func(a slog.Attr) bool { return n.in(a.Value) })
	case slog.KindString:
		text = v.String()
	case slog.KindAny:
		text = fmt.Sprint(v.Any())
	}
	return n.text(text) != text
}

// attr hides numbers in an attribute.
func (n numbers) attr(a slog.Attr) slog.Attr {
	a.Value = a.Value.Resolve()
	switch a.Value.Kind() {
	case slog.KindGroup:
		group := make([]any, 0, len(a.Value.Group()))
		for _, one := range a.Value.Group() {
			group = append(group, n.attr(one))
		}
		return slog.Group(a.Key, group...)
	case slog.KindString:
		a.Value = slog.StringValue(n.text(a.Value.String()))
	case slog.KindAny:
		if text := fmt.Sprint(a.Value.Any()); n.text(text) != text {
			a.Value = slog.StringValue(n.text(text))
		}
	}
	return a
}

// StepLog returns what logs one line for each step that ended; it is
// local.Options.OnStep. What succeeded is info, what failed a warning. There are no
// inputs and outputs in a line; what is sensitive is masked in its error. action is as
// in MetricsOptions.
func (v View) StepLog(log *slog.Logger, action func(flow, place string) string) func(run string, s *machine.Step, sensitive []any) {
	return func(run string, s *machine.Step, sensitive []any) {
		level := slog.LevelInfo
		if s.Status == machine.Failed {
			level = slog.LevelWarn
		}
		ctx := context.Background()
		if !log.Enabled(ctx, level) {
			return
		}
		attrs := make([]slog.Attr, 0, 16)
		attrs = append(attrs, slog.String("run", run), slog.String("flow", s.Flow), slog.String("step", v.text(s.Path)),
			slog.String("kind", s.Kind), slog.String("status", string(s.Status)))
		if s.Kind == "action" {
			if name := nameOf(action, s); name != "" {
				attrs = append(attrs, slog.String("action", name))
			}
			attrs = append(attrs, slog.Int("attempts", s.Attempts))
		}
		attrs = append(attrs, slog.Duration("took", s.Ended.Sub(s.Started).Round(time.Microsecond)))
		if s.Unknown {
			attrs = append(attrs, slog.Bool("unknown", true))
		}
		if e := s.Error; e != nil {
			m := v.masker(sensitive)
			attrs = append(attrs, slog.String("code", e.Code), slog.String("class", e.Class), slog.String("error", m.text(e.Message)))
			if e.MetaCode != 0 {
				attrs = append(attrs, slog.Int64("meta_code", e.MetaCode))
			}
		}
		log.LogAttrs(ctx, level, "step", attrs...)
	}
}

func nameOf(action func(flow, place string) string, s *machine.Step) string {
	if action == nil {
		return ""
	}
	return action(s.Flow, s.Place)
}

// ActionOf returns what MetricsOptions.Action asks for, from the flows as they are now.
func ActionOf(flows Flows) func(flow, place string) string {
	return func(flow, place string) string {
		p := flows.Plan(flow)
		if p == nil {
			return ""
		}
		for _, s := range p.All {
			if s.Place != place {
				continue
			}
			if do, ok := s.Do.(*plan.Action); ok {
				return do.Signature.Name
			}
		}
		return ""
	}
}
