package main

import (
	"fmt"
	"strings"
	"time"

	"facteur/flow/call"
	"facteur/flow/machine"
	"facteur/flow/record"
	"facteur/flow/schema"
)

// A progress shows the steps of a run as they end.
type progress struct {
	*app
	mask  *record.Mask
	known int // how many sensitive values the mask has
}

// show prints a step that ended. The sensitive values only grow from call to call.
func (a *progress) show(_ string, s *machine.Step, sensitive []any) {
	a.mask.Add(sensitive[a.known:])
	a.known = len(sensitive)
	sign, color := signOf(s.Status)
	fmt.Fprintf(a.stderr, "%s %s  %s\n", a.paint(color, sign), s.Path, strings.Join(stepNotes(s), "  "))
	if s.Error != nil && s.Status == machine.Failed && isCause(s.Kind, s.Error.Code) {
		fmt.Fprintf(a.stderr, "  %s\n", a.mask.Text(errorLine(s.Error)))
		for _, hint := range hints(s) {
			fmt.Fprintf(a.stderr, "  %s %s\n", a.paint("36", "hint:"), a.mask.Text(hint))
		}
	}
	if s.Note != "" {
		fmt.Fprintf(a.stderr, "  note: %s\n", a.mask.Text(s.Note))
	}
}

// signOf is the symbol, and its colour, of a step's status.
func signOf(status machine.Status) (sign, color string) {
	switch status {
	case machine.Failed:
		return "✗", "31"
	case machine.Skipped:
		return "-", "90"
	case machine.Cancelled:
		return "!", "33"
	}
	return "✓", "32"
}

// stepNotes are the details of a step in its line.
func stepNotes(s *machine.Step) []string {
	if s.Status == machine.Skipped {
		return []string{"skipped"}
	}
	notes := []string{s.Kind}
	if s.Status == machine.Cancelled {
		notes = append(notes, "cancelled")
	}
	if d := s.Ended.Sub(s.Started).Round(time.Millisecond); d > 0 {
		notes = append(notes, schema.FormatDuration(d))
	}
	if s.Attempts > 1 {
		notes = append(notes, fmt.Sprintf("%d attempts", s.Attempts))
	}
	if s.Sensitive {
		return notes
	}
	return append(notes, outputNotes(s.Outputs)...)
}

// outputNotes are the outputs that are shown in a step's line.
func outputNotes(outputs map[string]any) (notes []string) {
	if code := fmt.Sprint(outputs["status_code"]); outputs["status_code"] != nil && code != "0" {
		notes = append(notes, "status "+code)
	}
	if id, _ := outputs["message_id"].(string); id != "" {
		notes = append(notes, id)
	}
	if repeats, _ := outputs["repeats"].(string); repeats != "" {
		notes = append(notes, "not sent again (once)")
	}
	return notes
}

// isCause reports whether a failed step failed by itself, and not by a step inside it.
func isCause(kind, code string) bool {
	switch kind {
	case "action", "fail", "wait_for":
		return true
	}
	return code == "expression_failed"
}

// errorLine is the first line of an error, with its place in the flow where there is one:
// a recording's differences are shown at the end.
func errorLine(e *call.Error) string {
	line, _, _ := strings.Cut(e.Message, "\n")
	if file, ok := e.Details["file"].(string); ok && e.Code == "expression_failed" {
		line = fmt.Sprintf("%s:%v:%v: %s", file, e.Details["line"], e.Details["column"], line)
	}
	if e.Class != "" && e.Class != "flow" {
		line += " [" + e.Class + "]"
	}
	return line
}

// expressionHint says how to write an expression that could not be evaluated.
func expressionHint(e *call.Error) string {
	if e.Code != "expression_failed" {
		return ""
	}
	for _, h := range [...]struct{ said, hint string }{
		{"index out of", "check size(…) first, or write list[?0].orValue(…)"},
		{"no such key", "check has(x.key) or key in x first, or give a default with x.?key.orValue(…)"},
		{"by zero", "check the divisor first: n != 0 ? 10 / n : 0"},
		{"type conversion error", "check the value first, such as with x.matches(\"^[0-9]+$\")"},
	} {
		if strings.Contains(e.Message, h.said) {
			return h.hint
		}
	}
	return ""
}

// hints say what can be done about a step that failed.
func hints(s *machine.Step) []string {
	var out []string
	if s.Error.Code == "outcome_unknown" && len(s.Keys) > 0 {
		out = append(out, "it may have been sent and is not sent again; before you send it again, ask the recipient, or look in your webhooks for a status with biz_opaque_callback_data "+s.Keys[len(s.Keys)-1])
	}
	if help, ok := s.Error.Details["help"].(string); ok && help != "" {
		out = append(out, help)
	}
	if hint := expressionHint(s.Error); hint != "" {
		out = append(out, hint)
	}
	if s.Error.Code == "connection" {
		out = append(out, "facteur vault list shows the connections, facteur vault check NAME tests one")
	}
	if s.Error.MetaCode != 0 {
		out = append(out, fmt.Sprintf("facteur explain %d", s.Error.MetaCode))
	}
	return out
}
