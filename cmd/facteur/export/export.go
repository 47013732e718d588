// Package export turns a finished run into a flow test: with its inputs, requests and answers, the
// events from outside, and the expected result.
package export

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"facteur/cmd/facteur/yamltext"
	"facteur/flow"
	"facteur/flow/call"
	"facteur/flow/host"
	"facteur/flow/machine"
	"facteur/flow/plan"
	"facteur/flow/suite"
)

// A Project is what an export needs of the project that the run's flow belongs to.
type Project struct {
	Library plan.Library
	// Do makes the calls of a flow test, as facteur test does.
	Do func(tested *plan.Plan, w suite.Environment) (call.Do, error)
	// Connections returns the fields that a flow's connections need in a test besides those in
	// the project file, such as those that are in a vault.
	Connections func(tested *plan.Plan) map[string]map[string]any
}

// A Test is the flow test of a run.
type Test struct {
	Text  []byte   // of the file
	Notes []string // how it differs from the run

	plan    *plan.Plan
	project Project
}

// A RefusedError says why a run cannot be exported, with a hint, which may be "".
type RefusedError struct{ Problem, Hint string }

func (e *RefusedError) Error() string { return e.Problem }

// Of returns a run as a test of f, the project's flow, which compiled is the plan of. Personal
// values are replaced by made-up ones unless keepPersonal is set; sensitive ones always are. Its
// errors are *RefusedError and those of ctx.
func Of(ctx context.Context, p Project, f *flow.Flow, compiled *plan.Plan, r *host.Report, keepPersonal bool) (*Test, error) {
	x, err := newExporter(p, compiled, r, keepPersonal)
	if err != nil {
		return nil, err
	}
	if !maps.Equal(sourcesOf(compiled.Texts), sourcesOf(r.Sources)) {
		x.note("the flow has changed since the run: the test is of the flow as it is now")
	}
	if err := x.useSettings(f); err != nil {
		return nil, err
	}
	text, err := x.write(ctx)
	if err != nil {
		return nil, err
	}
	return &Test{Text: text, Notes: x.notes, plan: x.plan, project: p}, nil
}

// Check runs the test as facteur test does.
func (t *Test) Check(ctx context.Context) suite.Reports {
	const name = "exported.test.yaml"
	file, found := suite.Load(name, t.Text, t.project.Library)
	if file == nil {
		return suite.Reports{{File: name, Flow: t.plan.Name, Diagnostics: found}}
	}
	return suite.Reports{suite.Run(ctx, file, suite.Options{
		Do: func(w suite.Environment) (call.Do, error) { return t.project.Do(t.plan, w) },
	})}
}

// keyOrder is the usual order of the keys in a test.
var keyOrder = yamltext.Order{"at", "after", "receipt", "in", "event", "code", "step", "attempt", "for", "from", "path"}

// An exporter writes a run as a flow test: it replays the run on a virtual clock, answers each
// request by the journal, and records the exchanges.
type exporter struct {
	Project
	plan       *plan.Plan
	report     *host.Report
	anonymizer *anonymizer
	name       string // of the case

	settings map[string]any // of the run, where today's are others

	calls []*recordedCall
	byKey map[string]*recordedCall
	notes []string
}

func newExporter(p Project, compiled *plan.Plan, r *host.Report, keepPersonal bool) (*exporter, error) {
	switch r.Run.Status {
	case machine.Succeeded, machine.Failed:
	case machine.Cancelled:
		return nil, &RefusedError{Problem: "the run was cancelled, which a flow test cannot do"}
	default:
		return nil, &RefusedError{Problem: fmt.Sprintf("the run has not ended: it is %s", r.Run.Status)}
	}
	x := &exporter{
		Project: p, plan: compiled, report: r, anonymizer: newAnonymizer(keepPersonal), byKey: map[string]*recordedCall{},
		name: fmt.Sprintf("run %s, %s", r.Run.ID, r.Run.Status),
	}
	for i := range r.Calls {
		c := &recordedCall{Call: &r.Calls[i]}
		x.calls = append(x.calls, c)
		x.byKey[c.Key] = c
	}
	for _, e := range r.Journal {
		switch key, _ := dataOf(e)["key"].(string); e.Kind {
		case "answered":
			if c := x.byKey[key]; c != nil {
				c.answered = e.At
			}
		case "retried":
			return nil, &RefusedError{
				Problem: "the run was retried by a person, which a flow test cannot do",
				Hint:    "export a run before it is retried; facteur runs rerun starts this one anew, and sends",
			}
		}
	}
	x.anonymizer.learn(r)
	return x, nil
}

func (x *exporter) note(format string, args ...any) {
	if text := fmt.Sprintf(format, args...); !slices.Contains(x.notes, text) {
		x.notes = append(x.notes, text)
	}
}

// write replays the run and returns the test. If the result differs, it tries again with calls held
// back for as long as they were.
func (x *exporter) write(ctx context.Context) ([]byte, error) {
	before := slices.Clone(x.notes)
	c, err := x.replayUntilStable(ctx, false)
	if err != nil {
		return nil, err
	}
	if different := x.differences(c); different > 0 {
		after := x.notes
		x.notes = before
		held, err := x.replayUntilStable(ctx, true)
		if err != nil {
			return nil, err
		}
		if len(held.holds) > 0 && x.differences(held) < different {
			c = held
		} else {
			x.notes = after
		}
	}
	return x.text(c), nil
}

// window returns the recipients whose 24-hour window was known to be shut.
func (x *exporter) window() map[string]string {
	out := map[string]string{}
	for _, c := range x.calls {
		if to, ok := c.Input["recipient"].(string); ok && c.Outcome != nil && c.Outcome.Error != nil && c.Outcome.Error.Code == "window_closed" {
			out[x.anonymizer.text(to)] = "shut"
		}
	}
	return out
}

// text returns the file of the test.
func (x *exporter) text(c *replay) []byte {
	var b strings.Builder
	fmt.Fprintf(&b, "# Made by \"facteur runs export\" of a run. ")
	if x.anonymizer.keepPersonal {
		b.WriteString("It holds phone numbers and names of real people.\n")
	} else {
		b.WriteString("Phone numbers, names and ids are made up; what people wrote is kept.\n")
	}
	fmt.Fprintf(&b, "flow: %s\ncases:\n  - name: %s\n    now: %s\n", x.plan.Name, yamltext.Scalar(x.name), x.report.Run.Started.UTC().Truncate(time.Millisecond).Format(time.RFC3339Nano))
	writeBlock(&b, "settings", x.settings)
	writeBlock(&b, "inputs", x.anonymizer.object(x.report.Inputs))
	if random := x.random(); len(random) > 0 {
		fmt.Fprintf(&b, "    random: %s\n", keyOrder.Line(random))
	}
	writeBlock(&b, "connections", x.Connections(x.plan))
	writeBlock(&b, "window", x.window())
	b.WriteString(exchangesOf(c.exchanges))
	list := func(key string, lines []string) {
		if len(lines) > 0 {
			b.WriteString("    " + key + ":\n      - " + strings.Join(lines, "\n      - ") + "\n")
		}
	}
	list("events", c.feed)
	list("holds", c.holds)
	x.expectation(&b, c)
	return []byte(b.String())
}

// writeBlock writes the values of a key of the case, one on each line.
func writeBlock[V any](b *strings.Builder, key string, values map[string]V) {
	if len(values) == 0 {
		return
	}
	fmt.Fprintf(b, "    %s:\n", key)
	for _, name := range slices.Sorted(maps.Keys(values)) {
		fmt.Fprintf(b, "      %s: %s\n", yamltext.Scalar(name), keyOrder.Line(values[name]))
	}
}

// exchangesOf cuts the list of exchanges out of a recording.
func exchangesOf(recording []byte) string {
	_, list, _ := strings.Cut(string(recording), "\nexchanges:")
	list = strings.TrimRight(list, "\n")
	if strings.TrimSpace(list) == "[]" {
		return ""
	}
	return "    exchanges:" + strings.ReplaceAll(list, "\n", "\n    ") + "\n"
}

// expectation writes the expected result. Values that differ in each run, such as times and the
// run's id, match anything.
func (x *exporter) expectation(b *strings.Builder, c *replay) {
	r := &x.report.Result
	fmt.Fprintf(b, "    expect:\n      status: %s\n", r.Status)
	if r.Status == machine.Failed && r.Error != nil {
		failure := map[string]any{"code": r.Error.Code}
		if r.Step != "" {
			failure["step"] = r.Step
		}
		fmt.Fprintf(b, "      error: %s\n", keyOrder.Line(failure))
	}
	if len(r.Outputs) > 0 {
		b.WriteString("      outputs:\n")
		for _, name := range slices.Sorted(maps.Keys(r.Outputs)) {
			text := x.output(name)
			if c.result != nil && !x.isOutput(c, name) {
				x.note("the output %s is another in a test: it is not compared", name)
				text = "{$any: true}"
			}
			fmt.Fprintf(b, "        %s: %s\n", yamltext.Scalar(name), text)
		}
	}
	steps, attempts := map[string]any{}, []string{}
	for _, s := range x.report.Result.Steps {
		if s.ID == "" || s.Path != s.ID || s.Flow != x.plan.Name {
			continue
		}
		status := s.Status
		if status == machine.Cancelled {
			status = machine.Failed
		}
		steps[s.ID] = string(status)
		if s.Attempts > 1 {
			attempts = append(attempts, fmt.Sprintf("steps.%s.attempts == %d", s.ID, s.Attempts))
		}
	}
	if len(steps) > 0 {
		fmt.Fprintf(b, "      steps: %s\n", keyOrder.Line(steps))
	}
	if len(attempts) > 0 {
		fmt.Fprintf(b, "      assert: [%s]\n", strings.Join(attempts, ", "))
	}
}

// escapeKeys escapes keys that begin with a $, which a test would read as matchers.
func escapeKeys(v any) any {
	switch v := v.(type) {
	case map[string]any:
		out := make(map[string]any, len(v))
		for k, item := range v {
			if strings.HasPrefix(k, "$") {
				k = "$" + k
			}
			out[k] = escapeKeys(item)
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i, item := range v {
			out[i] = escapeKeys(item)
		}
		return out
	}
	return v
}

// random returns the integers that random() gave the run, sensitive ones anonymized.
func (x *exporter) random() []int64 {
	out := make([]int64, len(x.report.Random))
	for i, n := range x.report.Random {
		out[i], _ = x.anonymizer.value(n).(int64)
	}
	return out
}
