package main

import (
	"fmt"
	"strings"
	"time"

	"facteur/flow/call"
	"facteur/flow/host"
	"facteur/flow/machine"
	"facteur/flow/schema"
)

// runJSON is the result of a run as --json prints it.
type runJSON struct {
	RunID   string         `json:"run_id"`
	Flow    string         `json:"flow"`
	Status  machine.Status `json:"status"`
	Outputs map[string]any `json:"outputs"`
	Steps   []stepJSON     `json:"steps"`
	Error   map[string]any `json:"error"` // null unless the run failed
}

type stepJSON struct {
	ID       string         `json:"id"`
	Path     string         `json:"path,omitempty"` // where it differs from the id
	Status   machine.Status `json:"status"`
	Attempts int            `json:"attempts"`
	Outputs  map[string]any `json:"outputs"`
	Error    map[string]any `json:"error"`
}

// hidden stands for a sensitive value.
const hidden = "[sensitive]"

func (a *app) printResult(r *host.Result, w *world, f runFlags, took time.Duration) error {
	if f.json {
		if err := a.printJSON(resultJSON(r)); err != nil {
			return err
		}
	} else if !f.dryRun {
		a.printOutputs(r, took, w.virtual)
	}
	if w.player != nil {
		for _, m := range w.player.Mismatches() {
			fmt.Fprintf(a.stderr, "%s %s\n", a.paint("31", "error:"), m)
		}
		for _, e := range w.player.Unused() {
			at := e.Range.Pos()
			fmt.Fprintf(a.stderr, "%s %s:%d: this exchange was not used\n", a.paint("33", "warning:"), e.Range.File(), at.Line)
		}
	}
	switch {
	case r.Status == machine.Succeeded:
		return nil
	case r.Error != nil && aroundUs(r.Error):
		return &exitError{code: exitSurroundings}
	}
	return &exitError{code: exitFailed}
}

// aroundUs tells whether an error is of the surroundings rather than of the flow.
func aroundUs(e *call.Error) bool {
	switch e.Class {
	case "connection", "vault", "network":
		return true
	}
	return false
}

func resultJSON(r *host.Result) runJSON {
	mask := newMask(r.Sensitive)
	out := runJSON{RunID: r.Run, Flow: r.Flow, Status: r.Status, Outputs: r.Outputs, Steps: []stepJSON{}}
	if out.Outputs == nil {
		out.Outputs = map[string]any{}
	}
	out.Outputs, _ = printable(out.Outputs).(map[string]any)
	if r.Error != nil {
		out.Error, _ = mask.value(printable(r.Error.Value(r.Step))).(map[string]any)
	}
	for _, s := range r.Steps {
		step := stepJSON{ID: s.ID, Status: s.Status, Attempts: s.Attempts, Outputs: s.Outputs}
		if s.Path != s.ID {
			step.Path = s.Path
		}
		if step.Outputs == nil {
			step.Outputs = map[string]any{}
		}
		step.Outputs, _ = mask.value(printable(step.Outputs)).(map[string]any)
		if s.Error != nil {
			step.Error, _ = mask.value(printable(s.Error.Value(s.Path))).(map[string]any)
		}
		out.Steps = append(out.Steps, step)
	}
	return out
}

// printable gives times and durations the form in which people write them.
func printable(v any) any {
	switch v := v.(type) {
	case time.Time:
		return v.UTC().Format(time.RFC3339Nano)
	case time.Duration:
		return schema.FormatDuration(v)
	case map[string]any:
		out := make(map[string]any, len(v))
		for k, x := range v {
			out[k] = printable(x)
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i, x := range v {
			out[i] = printable(x)
		}
		return out
	}
	return v
}

// stepLine shows a step that ended, as it ends.
func (a *app) stepLine(s *machine.Step) {
	sign, color := "✓", "32"
	switch s.Status {
	case machine.Failed:
		sign, color = "✗", "31"
	case machine.Skipped:
		sign, color = "-", "90"
	case machine.Cancelled:
		sign, color = "!", "33"
	}
	line := fmt.Sprintf("%s %s", a.paint(color, sign), s.Path)
	switch s.Status {
	case machine.Skipped:
		line += "  skipped"
	default:
		line += "  " + s.Kind
		if d := s.Ended.Sub(s.Started).Round(time.Millisecond); d > 0 {
			line += "  " + schema.FormatDuration(d)
		}
		if s.Attempts > 1 {
			line += fmt.Sprintf("  %d attempts", s.Attempts)
		}
		if !s.Sensitive {
			if code, ok := s.Outputs["status_code"].(int64); ok && code != 0 {
				line += fmt.Sprintf("  status %d", code)
			}
			if id, ok := s.Outputs["message_id"].(string); ok && id != "" {
				line += "  " + id
			}
		}
	}
	fmt.Fprintln(a.stderr, line)
	if s.Error != nil && s.Status == machine.Failed && (s.Kind == "action" || s.Kind == "fail" || s.Kind == "wait_for" || s.Error.Code == "expression_failed") {
		fmt.Fprintf(a.stderr, "  %s\n", errorLine(s.Error))
		if s.Error.MetaCode != 0 {
			fmt.Fprintf(a.stderr, "  %s facteur explain %d\n", a.paint("36", "hint:"), s.Error.MetaCode)
		}
	}
	if s.Note != "" {
		fmt.Fprintf(a.stderr, "  note: %s\n", s.Note)
	}
}

func errorLine(e *call.Error) string {
	line := e.Message
	if e.Class != "" && e.Class != "flow" {
		line += " [" + e.Class + "]"
	}
	return line
}

func (a *app) printOutputs(r *host.Result, took time.Duration, virtual bool) {
	how := string(r.Status)
	if virtual {
		if d := r.Ended.Sub(r.Started).Round(time.Millisecond); d > 0 {
			how += " after " + schema.FormatDuration(d) + " of virtual time"
		}
	} else {
		how += " in " + schema.FormatDuration(took.Round(time.Millisecond))
	}
	color := "32"
	if r.Status != machine.Succeeded {
		color = "31"
	}
	fmt.Fprintf(a.stderr, "%s %s  run %s\n", r.Flow, a.paint(color, how), r.Run)
	if r.Error != nil && (r.Step == "" || r.Error.Code == "expression_failed") {
		fmt.Fprintf(a.stderr, "  %s\n", newMask(r.Sensitive).text(errorLine(r.Error)))
	}
	for _, name := range sortedNames(r.Outputs) {
		fmt.Fprintf(a.stdout, "%s: %s\n", name, oneLine(r.Outputs[name]))
	}
}

func oneLine(v any) string {
	if s, ok := printable(v).(string); ok && !strings.ContainsAny(s, "\n\r") {
		return s
	}
	return jsonText(printable(v))
}
