package suite

import (
	"fmt"
	"slices"
	"strings"

	"facteur/flow"
	"facteur/flow/diag"
	"facteur/flow/host"
	"facteur/flow/machine"
	"facteur/flow/record"
)

// An expectation is the expected result of a run.
type expectation struct {
	status  machine.Status
	at      diag.Range // of the status, or of the error that implies it; zero if neither is given
	outputs []expectedOutput
	code    diag.Text // of the error; Value "": any
	step    diag.Text // the step that failed; Value "": any
	asserts []diag.Text
	steps   []flow.Entry // ids and statuses
}

// An expectedOutput is one output, compared with the same matchers as the body of a request.
type expectedOutput struct {
	name    diag.Text
	matcher record.Matcher
	at      diag.Range
}

// expectation parses what a case expects; n may be nil.
func (l *loader) expectation(n *flow.Node, shape expectShape) expectation {
	e := expectation{status: machine.Status(shape.Status)}
	if n == nil {
		e.status = machine.Succeeded
		return e
	}
	if status := n.Get("status"); status != nil {
		e.at = status.Range
	}
	if err := n.Get("error"); err != nil {
		if shape.Status == "" {
			e.status, e.at = machine.Failed, head(err)
		} else if e.status == machine.Succeeded {
			l.diags.Errorf("test-conflict", head(err), "write status: failed", "a run that succeeds has no error")
		}
		for key, into := range map[string]*diag.Text{"code": &e.code, "step": &e.step} {
			if text := err.Get(key); text != nil {
				*into = text.Text
			}
		}
	}
	if e.status == "" {
		e.status = machine.Succeeded
	}
	if outputs := n.Get("outputs"); outputs != nil {
		for _, entry := range outputs.Entries {
			if entry.Key.Value == "$more" {
				continue // other outputs are never compared
			}
			matcher, found := record.ParseMatcher(entry.Value)
			l.diags.Add(found)
			e.outputs = append(e.outputs, expectedOutput{entry.Key, matcher, entry.Value.Range})
		}
	}
	if asserts := n.Get("assert"); asserts != nil {
		for _, item := range asserts.Items {
			e.asserts = append(e.asserts, item.Text)
		}
	}
	if steps := n.Get("steps"); steps != nil {
		e.steps = steps.Entries
	}
	return e
}

// differences compares the output of the run.
func (x expectedOutput) differences(outputs map[string]any) (all []Difference) {
	path := "outputs." + x.name.Value
	value, ok := outputs[x.name.Value]
	if !ok {
		return []Difference{{Path: path, Want: x.matcher.String()}}
	}
	for _, d := range record.Compare(x.matcher, value) {
		all = append(all, Difference{Path: path + strings.TrimPrefix(d.Path, "json"), Want: d.Recorded, Got: d.Sent})
	}
	return all
}

// checkExpectation checks what a case expects against its flow.
func (l *loader) checkExpectation(c *Case) {
	for _, e := range c.expect.steps {
		l.diags.Add(checkStep(e.Key, c.plan))
	}
	if c.expect.step.Value != "" {
		l.diags.Add(checkStep(c.expect.step, c.plan))
	}
	known := c.plan.OutputType.Names()
	for _, x := range c.expect.outputs {
		if !slices.Contains(known, x.name.Value) {
			l.diags.Errorf("unknown-field", x.name.Whole, diag.DidYouMean(x.name.Value, "outputs", known), "the flow has no output %q", x.name.Value)
		}
	}
	for _, text := range c.expect.asserts {
		_, found := compileAssertion(text, c.plan, nil)
		for _, d := range found {
			if d.Code != "maybe-unset" { // what is set is only known after the run
				l.diags = append(l.diags, d)
			}
		}
	}
}

// check compares a finished run with the expectation.
func (c *Case) check(r *host.Result) []Failure {
	var all []Failure
	e := &c.expect
	if r.Status != e.status {
		all = append(all, c.statusFailure(r))
	} else if e.status == machine.Failed {
		if want := e.code; want.Value != "" && r.Error.Code != want.Value {
			all = append(all, Failure{Range: want.Whole, Details: errorDetails(r), Message: "the run failed with another error",
				Diff: []Difference{{"error.code", want.Value, r.Error.Code}}})
		}
		if want := e.step; want.Value != "" && r.Step != want.Value && idOf(r.Step) != want.Value {
			all = append(all, Failure{Range: want.Whole, Details: errorDetails(r), Message: "the run failed in another step",
				Diff: []Difference{{"error.step", want.Value, r.Step}}})
		}
	}
	for _, x := range e.outputs {
		if diff := x.differences(r.Outputs); diff != nil {
			all = append(all, Failure{Range: x.at, Message: "the output " + x.name.Value + " is not as expected", Diff: diff})
		}
	}
	if e.steps != nil {
		states := statesOf(c.plan, r)
		for _, want := range e.steps {
			got := statusOf(want.Key.Value, states, r)
			if got != want.Value.Text.Value {
				all = append(all, Failure{Range: want.Value.Range, Message: "the step " + want.Key.Value + " is not as expected",
					Diff: []Difference{{"steps." + want.Key.Value + ".status", want.Value.Text.Value, got}}})
			}
		}
	}
	for _, text := range e.asserts {
		all = append(all, c.assert(text, r)...)
	}
	return all
}

// statusOf returns the status of a step, given by its id or its path.
func statusOf(name string, states map[string]map[string]any, r *host.Result) string {
	if state, ok := states[name]; ok {
		status, _ := state["status"].(string)
		return status
	}
	var statuses, where []string // of all steps with this id, inside loops and called flows
	for _, s := range r.Steps {
		status := string(machine.Failed) // also when it was cancelled, as in the flow
		if s.Status == machine.Succeeded || s.Status == machine.Skipped {
			status = string(s.Status)
		}
		switch {
		case s.Path == name:
			return status
		case idOf(s.Path) == name:
			statuses, where = append(statuses, status), append(where, s.Path+" "+status)
		}
	}
	switch len(slices.Compact(slices.Sorted(slices.Values(statuses)))) {
	case 0:
		return string(machine.Skipped)
	case 1:
		return statuses[0]
	}
	return strings.Join(where, ", ")
}

func (c *Case) statusFailure(r *host.Result) Failure {
	at := c.expect.at
	if at.Source == nil {
		at = c.Range
	}
	message := fmt.Sprintf("the run %s, but should have %s", r.Status, c.expect.status)
	details := errorDetails(r)
	if r.Status == machine.Failed && r.Error != nil {
		if hint := timeoutHint(r); hint != "" {
			details = append(details, "hint: "+hint)
		}
		details = append(details, fmt.Sprintf("hint: if that is right, write expect: {status: failed, error: {code: %q}}", r.Error.Code))
	}
	return Failure{Range: at, Message: message, Details: details}
}

// timeoutHint says how a test provides what a run waited for until it timed out; "" if it did
// not.
func timeoutHint(r *host.Result) string {
	for _, s := range r.Steps {
		if s.Path != r.Step || s.Error == nil || s.Error.Code != "timeout" {
			continue
		}
		if s.Kind == "wait_for" {
			return "add what it waits for: events: [{after: STEP, in: 5s, event: …}]"
		}
		if _, rest, ok := strings.Cut(s.Error.Message, "accepted, but not "); ok {
			state, _, _ := strings.Cut(rest, " ")
			return fmt.Sprintf("add the receipt: events: [{after: %[1]s, in: 5s, receipt: %[1]s, status: %[2]s}]", idOf(s.Path), state)
		}
	}
	return ""
}

// errorDetails says how a run failed.
func errorDetails(r *host.Result) []string {
	if r.Error == nil {
		return nil
	}
	line := fmt.Sprintf("error %s: %s", r.Error.Code, r.Error.Message)
	if r.Step != "" {
		line = "step " + r.Step + ": " + line
	}
	details := []string{line}
	if d := r.Error.Details; d["file"] != nil && d["line"] != nil {
		at := fmt.Sprintf("%v:%v", d["file"], d["line"])
		if d["expression"] != nil {
			at += fmt.Sprintf(":%v: %v", d["column"], d["expression"])
		}
		details = append(details, at)
	}
	return details
}
