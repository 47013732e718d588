package server

import (
	"context"
	"log/slog"
	"time"

	"facteur/flow/machine"
	"facteur/flow/plan"
)

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
