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

// Handler returns a log handler that hides phone numbers: those with a plus, and the same digits
// elsewhere in the line.
func (v View) Handler(to slog.Handler) slog.Handler {
	if v.Numbers {
		return to
	}
	return maskingHandler{to}
}

// A maskingHandler hides phone numbers.
type maskingHandler struct{ slog.Handler }

// Handle implements slog.Handler.
func (h maskingHandler) Handle(ctx context.Context, r slog.Record) error {
	mayShow := mayHoldNumber(r.Message)
	for a := range r.Attrs {
		mayShow = mayShow || anyString(a.Value, mayHoldNumber)
	}
	if !mayShow { // nearly always
		return h.Handler.Handle(ctx, r)
	}
	known := phoneNumbers{}
	known.find(r.Message)
	for a := range r.Attrs {
		known.findIn(a.Value)
	}
	out := slog.NewRecord(r.Time, r.Level, known.text(r.Message), r.PC)
	for a := range r.Attrs {
		out.AddAttrs(known.attr(a))
	}
	return h.Handler.Handle(ctx, out)
}

// WithAttrs implements slog.Handler.
func (h maskingHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	hidden := make([]slog.Attr, len(attrs))
	for i, a := range attrs {
		known := phoneNumbers{}
		known.findIn(a.Value)
		hidden[i] = known.attr(a)
	}
	return maskingHandler{h.Handler.WithAttrs(hidden)}
}

// WithGroup implements slog.Handler.
func (h maskingHandler) WithGroup(name string) slog.Handler {
	return maskingHandler{h.Handler.WithGroup(name)}
}

// anyString reports whether is holds for one of the texts that an attribute is written as.
func anyString(v slog.Value, is func(string) bool) bool {
	switch v = v.Resolve(); v.Kind() {
	case slog.KindGroup:
		return slices.ContainsFunc(v.Group(), func(a slog.Attr) bool { return anyString(a.Value, is) })
	case slog.KindString:
		return is(v.String())
	case slog.KindAny:
		return is(fmt.Sprint(v.Any()))
	}
	return false
}

// findIn collects the numbers in an attribute.
func (n phoneNumbers) findIn(v slog.Value) {
	anyString(v, func(text string) bool {
		n.find(text)
		return false
	})
}

// attr hides numbers in an attribute.
func (n phoneNumbers) attr(a slog.Attr) slog.Attr {
	a.Value = a.Value.Resolve()
	switch a.Value.Kind() {
	case slog.KindGroup:
		group := slices.Clone(a.Value.Group())
		for i := range group {
			group[i] = n.attr(group[i])
		}
		a.Value = slog.GroupValue(group...)
	case slog.KindString:
		a.Value = slog.StringValue(n.text(a.Value.String()))
	case slog.KindAny:
		text := fmt.Sprint(a.Value.Any())
		if hidden := n.text(text); hidden != text {
			a.Value = slog.StringValue(hidden)
		}
	}
	return a
}

// StepLog returns a function for local.Options.OnStep that logs each step that ended: at info if
// it succeeded, as a warning if it failed. Inputs and outputs are not logged; sensitive values
// are masked in the error.
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
		logLine(log, level, "step", attrs...)
	}
}

// UnknownLog wraps do to log the calls whose outcome is unknown. The line of their step may come
// much later, because the step waits for receipts.
func UnknownLog(log *slog.Logger, do call.Do) call.Do {
	return func(ctx context.Context, c call.Call) call.Outcome {
		o := do(ctx, c)
		if o.Status == call.Unknown {
			attrs := []slog.Attr{slog.String("run", c.Run), slog.String("step", c.Step), slog.String("action", c.Action), slog.Int("attempt", c.Attempt)}
			if e := o.Error; e != nil {
				attrs = append(attrs, slog.String("code", e.Code), slog.String("class", e.Class))
			}
			logLine(log, slog.LevelWarn, "it is not known whether a call happened; unless a webhook settles it, a person has to", attrs...)
		}
		return o
	}
}

// RunLog returns a function for local.Options.OnEnd that logs each run that ended.
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
		logLine(log, slog.LevelInfo, "run", attrs...)
	}
}

// logLine logs as slog.Logger does, but without the caller's program counter, which is not shown
// and costs half as much as the line.
func logLine(log *slog.Logger, level slog.Level, msg string, attrs ...slog.Attr) {
	r := slog.NewRecord(time.Now(), level, msg, 0)
	r.AddAttrs(attrs...)
	_ = log.Handler().Handle(context.Background(), r)
}
