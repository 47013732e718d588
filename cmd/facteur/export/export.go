// Package export makes a flow test of a run that was carried out elsewhere: with its inputs,
// what was sent and answered, what came from outside, and what came of it.
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

// A Project is what an export has to know of the project that the flow of a run belongs to.
type Project struct {
	Library plan.Library
	// Do makes the calls of a flow test, as facteur test does.
	Do func(tested *plan.Plan, w suite.World) (call.Do, error)
	// Connections are what the connections of a flow need in a test besides what the project
	// file says of them, which says nothing of fields that are in a vault.
	Connections func(tested *plan.Plan) map[string]map[string]any
}

// A Test is the flow test of a run.
type Test struct {
	Text  []byte   // of the file
	Notes []string // what is not in it as it was

	plan    *plan.Plan
	project Project
}

// A RefusedError says why a run cannot be a flow test, and what to do instead, "" for
// nothing.
type RefusedError struct{ Problem, Hint string }

func (e *RefusedError) Error() string { return e.Problem }

// Of makes a flow test of a run by a flow of the project, which is compiled. What is personal
// is replaced by made-up values unless it is kept; what is sensitive always is. The errors are
// those of RefusedError, and of ctx.
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
		Do: func(w suite.World) (call.Do, error) { return t.project.Do(t.plan, w) },
	})}
}

// inOrder is in which order people write the keys of a test.
var inOrder = yamltext.Order{"at", "after", "receipt", "in", "event", "code", "step", "attempt", "for", "from", "path"}

// An exporter makes a flow test of a run: the run is carried out again, by a virtual clock,
// over answers that say what the journal says, and what it asks is recorded.
type exporter struct {
	Project
	plan   *plan.Plan
	report *host.Report
	hide   *disguise
	name   string // of the case

	settings map[string]any // of the run, where today's are others

	calls []*madeCall
	byKey map[string]*madeCall
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
		Project: p, plan: compiled, report: r, hide: newDisguise(keepPersonal), byKey: map[string]*madeCall{},
		name: fmt.Sprintf("run %s, %s", r.Run.ID, r.Run.Status),
	}
	for i := range r.Calls {
		c := &madeCall{Call: &r.Calls[i]}
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
	x.hide.learn(r)
	return x, nil
}

func (x *exporter) note(format string, args ...any) {
	if text := fmt.Sprintf(format, args...); !slices.Contains(x.notes, text) {
		x.notes = append(x.notes, text)
	}
}

// write carries the run out again and returns the test, in which calls are held back as they
// were if it comes to something else without.
func (x *exporter) write(ctx context.Context) ([]byte, error) {
	before := slices.Clone(x.notes)
	c, err := x.settle(ctx, false)
	if err == nil && x.differs(c) > 0 {
		after := x.notes
		x.notes = before
		held, err := x.settle(ctx, true)
		if err != nil {
			return nil, err
		}
		if len(held.holds) > 0 && x.differs(held) < x.differs(c) {
			return x.text(held), nil
		}
		x.notes = after
	}
	if err != nil {
		return nil, err
	}
	return x.text(c), nil
}

// window tells whose 24-hour window was known to be shut.
func (x *exporter) window() map[string]string {
	out := map[string]string{}
	for _, c := range x.calls {
		if to, ok := c.Input["recipient"].(string); ok && c.Outcome != nil && c.Outcome.Error != nil && c.Outcome.Error.Code == "window_closed" {
			out[x.hide.text(to)] = "shut"
		}
	}
	return out
}

// text is the file of the test.
func (x *exporter) text(c *carried) []byte {
	var b strings.Builder
	fmt.Fprintf(&b, "# Made by \"facteur runs export\" of a run. ")
	if x.hide.keep {
		b.WriteString("It holds phone numbers and names of real people.\n")
	} else {
		b.WriteString("Phone numbers, names and ids are made up; what people wrote is kept.\n")
	}
	fmt.Fprintf(&b, "flow: %s\ncases:\n  - name: %s\n    now: %s\n", x.plan.Name, yamltext.Scalar(x.name), x.report.Run.Started.UTC().Truncate(time.Millisecond).Format(time.RFC3339Nano))
	block := func(key string, values map[string]any) {
		if len(values) == 0 {
			return
		}
		fmt.Fprintf(&b, "    %s:\n", key)
		for _, name := range slices.Sorted(maps.Keys(values)) {
			fmt.Fprintf(&b, "      %s: %s\n", yamltext.Scalar(name), inOrder.Line(values[name]))
		}
	}
	block("settings", x.settings)
	block("inputs", x.hide.object(x.report.Inputs))
	if random := x.random(); len(random) > 0 {
		fmt.Fprintf(&b, "    random: %s\n", inOrder.Line(random))
	}
	connections := map[string]any{}
	for name, fields := range x.Connections(x.plan) {
		connections[name] = fields
	}
	block("connections", connections)
	window := map[string]any{}
	for contact, state := range x.window() {
		window[contact] = state
	}
	block("window", window)
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

// exchangesOf takes the list out of a recording.
func exchangesOf(recording []byte) string {
	_, list, _ := strings.Cut(string(recording), "\nexchanges:")
	list = strings.TrimRight(list, "\n")
	if strings.TrimSpace(list) == "[]" {
		return ""
	}
	return "    exchanges:" + strings.ReplaceAll(list, "\n", "\n    ") + "\n"
}

// expectation writes what came of the run. What cannot be the same in a test, such as a
// time or the id of the run, may be anything.
func (x *exporter) expectation(b *strings.Builder, c *carried) {
	r := &x.report.Result
	fmt.Fprintf(b, "    expect:\n      status: %s\n", r.Status)
	if r.Status == machine.Failed && r.Error != nil {
		failure := map[string]any{"code": r.Error.Code}
		if r.Step != "" {
			failure["step"] = r.Step
		}
		fmt.Fprintf(b, "      error: %s\n", inOrder.Line(failure))
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
		fmt.Fprintf(b, "      steps: %s\n", inOrder.Line(steps))
	}
	if len(attempts) > 0 {
		fmt.Fprintf(b, "      assert: [%s]\n", strings.Join(attempts, ", "))
	}
}

// escapeKeys keeps keys that begin with a $ from meaning something.
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

// random are the integers that random() gave the run, those that are sensitive disguised.
func (x *exporter) random() []int64 {
	out := make([]int64, len(x.report.Random))
	for i, n := range x.report.Random {
		out[i], _ = x.hide.value(n).(int64)
	}
	return out
}
