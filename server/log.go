package server

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"facteur/flow/call"
	"facteur/flow/host"
	"facteur/flow/machine"
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
	mayShow := isSuspect(r.Message)
	r.Attrs(func(a slog.Attr) bool {
		mayShow = mayShow || anyText(a.Value, isSuspect)
		return !mayShow
	})
	if !mayShow { // as nearly all lines
		return h.Handler.Handle(ctx, r)
	}
	known := numbers{}
	known.find(r.Message)
	r.Attrs(func(a slog.Attr) bool {
		known.findIn(a.Value)
		return true
	})
	shows := known.in(r.Message)
	r.Attrs(func(a slog.Attr) bool {
		shows = shows || anyText(a.Value, known.in)
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

// anyText tells whether something is so of a text that an attribute is written as.
func anyText(v slog.Value, is func(string) bool) bool {
	switch v = v.Resolve(); v.Kind() {
	case slog.KindGroup:
		return slices.ContainsFunc(v.Group(), func(a slog.Attr) bool { return anyText(a.Value, is) })
	case slog.KindString:
		return is(v.String())
	case slog.KindAny:
		return is(fmt.Sprint(v.Any()))
	}
	return false
}

// findIn remembers the numbers in an attribute.
func (n numbers) findIn(v slog.Value) {
	anyText(v, func(text string) bool {
		n.find(text)
		return false
	})
}

// in tells whether there is something to hide in a text.
func (n numbers) in(text string) bool { return n.text(text) != text }

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
		if text := fmt.Sprint(a.Value.Any()); n.in(text) {
			a.Value = slog.StringValue(n.text(text))
		}
	}
	return a
}

// StepLog returns what logs one line for each step that ended; it is
// local.Options.OnStep. What succeeded is info, what failed a warning. There are no
// inputs and outputs in a line; what is sensitive is masked in its error.
func (v View) StepLog(log *slog.Logger) func(run string, s *machine.Step, sensitive []any) {
	return func(run string, s *machine.Step, sensitive []any) {
		level := slog.LevelInfo
		if s.Status == machine.Failed {
			level = slog.LevelWarn
		}
		if !log.Enabled(context.Background(), level) {
			return
		}
		attrs := make([]slog.Attr, 0, 16)
		attrs = append(attrs, slog.String("run", run), slog.String("flow", s.Flow), slog.String("step", v.text(s.Path)),
			slog.String("kind", s.Kind), slog.String("status", string(s.Status)))
		if s.Kind == "action" {
			if s.Action != "" {
				attrs = append(attrs, slog.String("action", s.Action))
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
		tell(log, level, "step", attrs...)
	}
}

// DoubtLog has calls logged of which nobody knows whether they happened: the line of their
// step may be long in coming, since receipts may still tell.
func DoubtLog(log *slog.Logger, do call.Do) call.Do {
	return func(ctx context.Context, c call.Call) call.Outcome {
		o := do(ctx, c)
		if o.Status == call.Unknown {
			attrs := []slog.Attr{slog.String("run", c.Run), slog.String("step", c.Step), slog.String("action", c.Action), slog.Int("attempt", c.Attempt)}
			if e := o.Error; e != nil {
				attrs = append(attrs, slog.String("code", e.Code), slog.String("class", e.Class))
			}
			tell(log, slog.LevelWarn, "nobody knows whether a call happened; unless a webhook tells, somebody has to settle it", attrs...)
		}
		return o
	}
}

// RunLog returns what logs one line for each run that ended; it is local.Options.OnEnd.
func RunLog(log *slog.Logger) func(*host.Result) {
	return func(r *host.Result) {
		if !log.Enabled(context.Background(), slog.LevelInfo) {
			return
		}
		attrs := make([]slog.Attr, 0, 5)
		attrs = append(attrs, slog.String("run", r.Run), slog.String("flow", r.Flow), slog.String("status", string(r.Status)),
			slog.Duration("took", r.Ended.Sub(r.Started).Round(time.Microsecond)))
		if r.Error != nil {
			attrs = append(attrs, slog.String("code", r.Error.Code))
		}
		tell(log, slog.LevelInfo, "run", attrs...)
	}
}

// tell writes a line as slog.Logger does, but without looking for where in the program it
// is called, which is as much work as half of the line, and which nobody is told.
func tell(log *slog.Logger, level slog.Level, msg string, attrs ...slog.Attr) {
	r := slog.NewRecord(time.Now(), level, msg, 0)
	r.AddAttrs(attrs...)
	_ = log.Handler().Handle(context.Background(), r)
}
