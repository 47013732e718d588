package main

import (
	"bytes"
	"fmt"
	"time"

	"facteur/cmd/facteur/bubble"
	"facteur/cmd/facteur/simulation"
	"facteur/flow/call"
	"facteur/flow/host"
	"facteur/flow/machine"
	"facteur/flow/record"
	"facteur/flow/schema"
	"facteur/project"
)

// runJSON is the result of a run as --json prints it.
type runJSON struct {
	RunID    string               `json:"run_id"`
	Flow     string               `json:"flow"`
	Status   machine.Status       `json:"status"`
	Outputs  map[string]any       `json:"outputs"`
	Steps    []stepJSON           `json:"steps"`
	Error    any                  `json:"error"`              // null unless the run failed
	Requests []dryRequest         `json:"requests,omitempty"` // of a dry run
	Messages []simulation.Message `json:"messages,omitempty"` // of --simulate
}

type stepJSON struct {
	ID       string         `json:"id"`
	Path     string         `json:"path,omitempty"` // where it differs from the id
	Status   machine.Status `json:"status"`
	Attempts int            `json:"attempts"`
	Outputs  any            `json:"outputs"`
	Error    any            `json:"error"`
}

// resultJSON is a result as JSON, with sensitive values masked except in the flow's outputs: those
// the caller gets in clear.
func (w *environment) resultJSON(r *host.Result) runJSON {
	mask := record.NewMask(r.Sensitive)
	failure := func(e *call.Error, step string) any {
		if e == nil {
			return nil
		}
		return mask.Value(schema.JSON(e.Value(step)))
	}
	out := runJSON{
		RunID: r.Run, Flow: r.Flow, Status: r.Status, Outputs: map[string]any{}, Steps: []stepJSON{},
		Error: failure(r.Error, r.Step),
	}
	for name, v := range r.Outputs {
		out.Outputs[name] = schema.JSON(v)
	}
	for _, s := range r.Steps {
		step := stepJSON{ID: s.ID, Status: s.Status, Attempts: s.Attempts, Outputs: map[string]any{}, Error: failure(s.Error, s.Path)}
		if s.Path != s.ID {
			step.Path = s.Path
		}
		if s.Outputs != nil {
			step.Outputs = mask.Value(schema.JSON(s.Outputs))
		}
		out.Steps = append(out.Steps, step)
	}
	if w.dryRun != nil {
		out.Requests = w.dryRun.masked(mask)
	}
	if w.simulation != nil {
		out.Messages = w.simulation.Sent(r)
	}
	return out
}

// printResult prints how a run ended, and returns its exit code as an error.
func (a *app) printResult(r *host.Result, w *environment, f runFlags, took time.Duration) error {
	if err := a.writeResult(r, w, f, took); err != nil {
		return project.SystemError(fmt.Errorf("the result could not be written: %w", err), fmt.Sprintf("the run %s %s nevertheless", r.Run, r.Status))
	}
	fits := w.player == nil || a.compareRecording(w, record.NewMask(r.Sensitive))
	switch {
	case r.Status == machine.Succeeded && fits:
		return nil
	case r.Error != nil && isSystemError(r.Error):
		return &exitError{code: exitSystem}
	}
	return &exitError{code: exitFailed}
}

func (a *app) writeResult(r *host.Result, w *environment, f runFlags, took time.Duration) error {
	if f.json {
		return a.printJSON(w.resultJSON(r))
	}
	var out bytes.Buffer
	if w.dryRun != nil {
		w.dryRun.print(&out, record.NewMask(r.Sensitive))
		a.printEnd(r, "nothing was sent; the answers were made up", took)
	} else {
		how := ""
		if w.virtual {
			took, how = r.Ended.Sub(r.Started), "virtual time"
		}
		if w.simulation != nil {
			drawMessages(&out, bubble.For(a.stdout, colored(a.stdout)), w.simulation.Sent(r))
			if _, err := out.WriteTo(a.stdout); err != nil {
				return err
			}
		}
		a.printEnd(r, how, took)
		for _, name := range sortedNames(r.Outputs) {
			fmt.Fprintf(&out, "%s: %s\n", name, schema.OneLine(r.Outputs[name]))
		}
	}
	_, err := out.WriteTo(a.stdout)
	return err
}

// compareRecording prints where a recording did not match the run, and reports whether there were
// only unused exchanges.
func (a *app) compareRecording(w *environment, m *record.Mask) bool {
	bad := w.player.Mismatches()
	for _, mismatch := range bad {
		a.printLine("31", "error:", "%s", m.Text(mismatch.String()))
	}
	for _, e := range w.player.Unused() {
		fmt.Fprintf(a.stderr, "%s:%d: %s this exchange was not used\n", e.Range.File(), e.Range.Pos().Line, a.paint("33", "warning:"))
	}
	return len(bad) == 0
}

// isSystemError reports whether an error is of the system rather than of the flow.
func isSystemError(e *call.Error) bool {
	switch e.Class {
	case "connection", "surroundings", "network", "auth":
		return true
	}
	return false
}

// printEnd prints the end of a run.
func (a *app) printEnd(r *host.Result, how string, took time.Duration) {
	color := "32"
	if r.Status != machine.Succeeded {
		color = "31"
	}
	line := fmt.Sprintf("%s %s", r.Flow, a.paint(color, string(r.Status)))
	if took = took.Round(time.Millisecond); took > 0 {
		line += " in " + schema.FormatDuration(took)
	}
	if how != "" {
		line += " (" + how + ")"
	}
	fmt.Fprintf(a.stderr, "%s  run %s\n", line, r.Run)
	if r.Error != nil && r.Step == "" {
		fmt.Fprintf(a.stderr, "  %s\n", record.NewMask(r.Sensitive).Text(errorLine(r.Error)))
	}
}
