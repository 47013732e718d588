package main

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"facteur/actions/whatsapp/graph"
	"facteur/flow/call"
	"facteur/flow/host"
	"facteur/flow/machine"
	"facteur/flow/schema"
	"facteur/server"
)

// A drawing prints a run for people.
type drawing struct {
	w     io.Writer
	d     *server.Detail
	paint func(code, text string) string
}

func (p *drawing) draw() {
	d := p.d
	p.field("run", d.RunID)
	p.field("flow", d.Flow+"  "+short(d.Digest))
	p.field("status", p.paint(colorOf(d.Status), statusOf(d.Run)))
	p.field("started", d.StartedAt.UTC().Format(timeWithMillis)+" UTC by "+d.By)
	if !d.EndedAt.IsZero() {
		p.field("took", took(d.StartedAt, d.EndedAt))
	}
	if reason := p.cancelled(); reason != "" {
		p.field("reason", reason)
	}
	p.values("inputs", d.Inputs)
	p.values("outputs", d.Outputs)
	if d.Status == host.Queued {
		p.field("waits", "for its turn: as many runs of the flow are active as its concurrency allows")
	}
	for _, w := range d.Waits {
		p.field("waits", "for "+w)
	}
	if len(d.Steps) > 0 {
		fmt.Fprintln(p.w)
	}
	for i := range d.Steps {
		p.step(&d.Steps[i])
	}
	for _, h := range d.Held {
		until := ""
		if !h.Until.IsZero() {
			until = " until " + h.Until.UTC().Format(time.DateTime) + " UTC"
		}
		fmt.Fprintf(p.w, "%10s  %s %s  held back: %s%s\n", "", p.paint("33", "…"), h.Step, h.Reason, until)
	}
	if d.Error != nil && d.Error.Step == "" {
		fmt.Fprintln(p.w)
		p.failure("", d.Error)
	}
	p.advice()
}

// cancelled is the reason that was given for cancelling the run, "" for none.
func (p *drawing) cancelled() string {
	for _, e := range slices.Backward(p.d.Journal) {
		var said struct{ Reason string }
		switch {
		case e.Kind == "retried":
			return ""
		case e.Kind == "cancel" && json.Unmarshal(e.Data, &said) == nil:
			return said.Reason
		}
	}
	return ""
}

func (p *drawing) field(name, text string) { fmt.Fprintf(p.w, "%-8s %s\n", name, text) }

// longValue bounds the characters of an input or output that are shown.
const longValue = 400

func (p *drawing) values(name string, values map[string]any) {
	for _, key := range sortedNames(values) {
		text := []rune(schema.OneLine(values[key]))
		if len(text) > longValue {
			text = append(text[:longValue], []rune("… (--json prints all)")...)
		}
		p.field(name, key+": "+string(text))
		name = ""
	}
}

// step prints a step, its calls if they add something, and why it failed.
func (p *drawing) step(s *server.Step) {
	sign, color := signOf(s.Status)
	switch {
	case s.Unknown:
		sign, color = "?", "33"
	case s.EndedAt.IsZero() && s.Status == machine.Running:
		sign, color = "…", "33"
	}
	indent := strings.Repeat("  ", p.depth(s))
	fmt.Fprintf(p.w, "%10s  %s%s %s  %s\n", p.since(s.StartedAt), indent, p.paint(color, sign), s.Path, strings.Join(p.notes(s), "  "))
	indent += "    "
	calls := p.calls(s)
	if len(calls) > 1 || s.Unknown && s.Error == nil { // with an error, it says why
		for _, c := range calls {
			fmt.Fprintf(p.w, "%10s  %sattempt %d  %s\n", p.since(c.TakenAt), indent, c.Attempt, outcomeOf(c))
		}
	}
	for _, c := range calls {
		for _, r := range c.Receipts {
			if r.State != s.State || r.Error != nil {
				fmt.Fprintf(p.w, "%10s  %sreceipt %s%s\n", "", indent, r.State, reason(r.Error))
			}
		}
	}
	if s.Error != nil && s.Status != machine.Skipped && isCause(s.Kind, s.Error.Code) {
		p.failure(strings.Repeat(" ", 12)+indent, s.Error)
	}
	if s.Note != "" {
		fmt.Fprintf(p.w, "%10s  %snote: %s\n", "", indent, s.Note)
	}
}

// failure shows an error with its explanation.
func (p *drawing) failure(indent string, e *server.Failure) {
	line, _, _ := strings.Cut(e.Message, "\n")
	fmt.Fprintf(p.w, "%s%s %s [%s]\n", indent, p.paint("31", "error:"), line, e.Code)
	for _, l := range explained(e) {
		fmt.Fprintf(p.w, "%s%-6s %s\n", indent, l.name, wrap(l.text, indent+"       "))
	}
}

type explanationLine struct{ name, text string }

// explained is what the catalogue says about an error.
func explained(e *server.Failure) []explanationLine {
	var lines []explanationLine
	if m, ok := graph.Explain(e.MetaCode); ok && e.MetaCode != 0 {
		lines = append(lines, explanationLine{"cause:", m.Cause}, explanationLine{"cure:", m.Cure})
	} else if text, ok := stepCodes.Explain(e.Code); ok {
		lines = append(lines, explanationLine{"cause:", text})
	}
	if help, _ := e.Details["help"].(string); help != "" {
		lines = append(lines, explanationLine{"hint:", help})
	}
	out := lines[:0]
	for _, l := range lines {
		said := slices.ContainsFunc(out, func(o explanationLine) bool { return o.text == l.text })
		if l.text != "" && !said {
			out = append(out, l)
		}
	}
	return out
}

// advice prints what can be done about the run.
func (p *drawing) advice() {
	var tips []string
	for _, s := range p.d.Steps {
		if s.Unknown {
			tips = append(tips,
				fmt.Sprintf("the outcome of %s is unknown; find out, then run one of:", s.Path),
				fmt.Sprintf("  facteur runs settle %s %s --sent WAMID   # its id is not known: --sent=", p.d.RunID, s.Path),
				fmt.Sprintf("  facteur runs settle %s %s --not-sent", p.d.RunID, s.Path))
			if len(s.Keys) > 0 {
				tips = append(tips, "  its status webhooks have biz_opaque_callback_data "+s.Keys[len(s.Keys)-1])
			}
		}
	}
	switch p.d.Status {
	case machine.Failed, machine.Cancelled:
		then := ""
		if p.d.Unknown > 0 {
			then = "once that is settled, "
		}
		tips = append(tips, then+"resume from what failed: facteur runs retry "+p.d.RunID)
	case "held":
		tips = append(tips, "it has been held since a backup was restored; check whether it continued after the backup, then: facteur runs release "+p.d.RunID)
	case "replay_mismatch":
		tips = append(tips, "it cannot continue, for the reason above; once that is fixed: facteur runs release "+p.d.RunID, "or end it: facteur runs cancel "+p.d.RunID)
	}
	if len(tips) > 0 {
		fmt.Fprintf(p.w, "\n%s\n", strings.Join(tips, "\n"))
	}
}

func (p *drawing) calls(s *server.Step) []server.Call {
	var calls []server.Call
	for _, c := range p.d.Calls {
		if c.Step == s.Path {
			calls = append(calls, c)
		}
	}
	return calls
}

// depth counts the steps that a step stands in.
func (p *drawing) depth(s *server.Step) int {
	n := 0
	for _, other := range p.d.Steps {
		if rest, ok := strings.CutPrefix(s.Path, other.Path); ok && rest != "" && (rest[0] == '.' || rest[0] == '[') {
			n++
		}
	}
	return n
}

// since is a time relative to the run's start.
func (p *drawing) since(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return "+" + schema.FormatDuration(t.Sub(p.d.StartedAt).Round(time.Millisecond))
}

func (p *drawing) notes(s *server.Step) []string {
	if s.Status == machine.Skipped {
		return []string{"skipped"}
	}
	notes := []string{s.Kind}
	switch {
	case s.EndedAt.IsZero():
		notes = append(notes, "under way")
	case s.EndedAt.Sub(s.StartedAt) >= time.Millisecond:
		notes = append(notes, took(s.StartedAt, s.EndedAt))
	}
	if s.Attempts > 1 {
		notes = append(notes, fmt.Sprintf("%d attempts", s.Attempts))
	}
	notes = append(notes, outputNotes(s.Outputs)...)
	if s.State != "" {
		notes = append(notes, s.State)
	}
	if s.Unknown {
		notes = append(notes, "outcome unknown")
	}
	return notes
}

func colorOf(s machine.Status) string {
	switch s {
	case machine.Succeeded:
		return "32"
	case machine.Failed, "replay_mismatch", "rejected":
		return "31"
	}
	return "33"
}

// outcomeOf is a call's outcome in words.
func outcomeOf(c server.Call) string {
	switch {
	case c.Outcome == nil:
		return "under way"
	case c.Outcome.Status == call.Pending:
		return "accepted"
	}
	return string(c.Outcome.Status) + reason(c.Outcome.Error)
}

func reason(e *server.Failure) string {
	if e == nil {
		return ""
	}
	line, _, _ := strings.Cut(e.Message, "\n")
	return fmt.Sprintf(": %s [%s]", line, e.Code)
}

// short is a prefix of a digest, enough to tell versions apart.
func short(digest string) string {
	if _, hex, ok := strings.Cut(digest, ":"); ok {
		digest = hex
	}
	return digest[:min(12, len(digest))]
}
