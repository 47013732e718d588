package plan_test

import (
	"fmt"
	"math/rand"
	"slices"
	"strings"
	"testing"
	"time"

	"facteur/flow"
	"facteur/flow/call"
	"facteur/flow/diag"
	"facteur/flow/machine"
	"facteur/flow/plan"

	"github.com/stretchr/testify/require"
)

// Compile is sound: in flows generated at random, without the expressions that it refuses, no
// expression finds a part missing, whatever the outcomes of calls, events and time-outs are.
func TestNothingReadIsMissing(t *testing.T) {
	compiled := 0
	for seed := range int64(300) {
		a := &generator{r: rand.New(rand.NewSource(seed)), lines: []string{
			"flow: f", "inputs: {a: {type: boolean}, b: {type: boolean}, c: {type: boolean}}", "steps:"}}
		p := a.write(t)
		if p == nil {
			continue
		}
		compiled++
		a.requireNothingMissing(t, p, seed)
		caller := a.caller()
		caller.requireNothingMissing(t, caller.compile(t, a), seed)
	}
	require.Greater(t, compiled, 260)
}

// requireNothingMissing runs a flow several times with random outcomes, and fails if an
// expression finds a part missing.
func (a *generator) requireNothingMissing(t *testing.T, p *plan.Plan, seed int64) {
	for range 5 {
		for _, step := range a.run(p) {
			if step.Error != nil && step.Error.Code == "expression_failed" {
				t.Fatalf("seed %d, %s: %s\n%s", seed, step.Path, step.Error.Message, strings.Join(a.lines, "\n"))
			}
		}
	}
}

// caller generates a flow that calls this one and reads all its outputs.
func (a *generator) caller() *generator {
	c := &generator{r: a.r, lines: []string{
		"flow: caller", "inputs: {a: {type: boolean}, b: {type: boolean}, c: {type: boolean}}", "steps:",
		"  - {id: called, call: f, with: {a: '${inputs.a}', b: '${inputs.b}', c: '${inputs.c}'}}",
	}}
	for i := range outputs {
		c.line(1, "- {action: test.note, with: {text: '${steps.called.outputs.o%d}'}}", i)
	}
	return c
}

// A generator writes flows at random: six actions s0 to s5, four waits w0 to w3, three
// variables, and expressions that read any of them anywhere.
type generator struct {
	r              *rand.Rand
	lines          []string
	actions, waits int
}

func (a *generator) write(t *testing.T) *plan.Plan {
	a.steps(1, 3, false)
	a.steps(1, 3, false)
	for ; a.actions < 6; a.actions++ {
		a.line(1, "- {id: s%d, action: test.note}", a.actions)
	}
	for ; a.waits < 4; a.waits++ {
		a.line(1, "- {id: w%d, wait: 1s}", a.waits)
	}
	a.line(0, "on_failure:")
	a.steps(1, 1, false)
	a.line(0, "outputs:")
	for i := range outputs {
		a.line(1, "o%d: '${%s}'", i, a.expression())
	}
	return a.compile(t, nil)
}

// outputs is the number of outputs of a flow.
const outputs = 4

// compile returns the plan of the flow without the expressions that are refused.
func (a *generator) compile(t *testing.T, callee *generator) *plan.Plan {
	lib := plan.Library{Catalog: catalog()}
	if callee != nil {
		called := callee.parse(t)
		lib.Flow = func(string) *flow.Flow { return called }
	}
	for range 30 { // what is refused hides other mistakes
		p, diags := plan.Compile(a.parse(t), lib)
		diags = slices.DeleteFunc(diags, func(d diag.Diagnostic) bool { return d.Severity == diag.Warning && d.Code != "maybe-unset" })
		if len(diags) == 0 {
			return p
		}
		for _, d := range diags {
			a.replaceExpression(t, d)
		}
	}
	return nil
}

func (a *generator) parse(t *testing.T) *flow.Flow {
	f, diags := flow.Parse("f", []byte(strings.Join(a.lines, "\n")))
	require.Empty(t, diags)
	return f
}

// replaceExpression replaces the expression that a diagnostic is about.
func (a *generator) replaceExpression(t *testing.T, d diag.Diagnostic) {
	line := &a.lines[d.Range.Pos().Line-1]
	from, to := strings.Index(*line, "'")+1, strings.LastIndex(*line, "'")
	switch {
	case from == 0:
		t.Fatalf("%s: %s", d.Error(), *line)
	case strings.HasPrefix((*line)[from:], "${"):
		*line = (*line)[:from] + `${"x"}` + (*line)[to:]
	default:
		*line = (*line)[:from] + "inputs.a" + (*line)[to:]
	}
}

func (a *generator) line(depth int, format string, args ...any) {
	a.lines = append(a.lines, strings.Repeat("  ", depth)+fmt.Sprintf(format, args...))
}

func (a *generator) maybe(one int) bool { return a.r.Intn(one) == 0 }

func (a *generator) steps(at, depth int, concurrent bool) {
	for range 1 + a.r.Intn(3) {
		a.step(at, depth, concurrent)
	}
}

func (a *generator) step(at, depth int, concurrent bool) {
	dash := "- "
	key := func(format string, args ...any) {
		a.line(at, dash+format, args...)
		dash = "  "
	}
	kind := a.r.Intn(12)
	if depth == 0 && kind >= 5 && kind <= 9 {
		kind = 0
	}
	if kind == 4 && concurrent {
		kind = 3
	}
	if kind == 3 || kind == 4 || a.maybe(3) {
		key("if: '%s'", a.condition())
	}
	if a.maybe(4) {
		key("allow_failure: true")
	}
	switch kind {
	case 3, 10:
		key("set: {v%d: '${%s}'}", a.r.Intn(3), a.expression())
	case 4:
		key("%s", []string{"return: {}", "return: {o0: x, o1: y}", "fail: {code: a, message: b}"}[a.r.Intn(3)])
	case 5:
		key("switch:")
		for range 1 + a.r.Intn(2) {
			a.branch(at+1, depth-1, concurrent)
		}
		if a.maybe(2) {
			key("default:")
			a.steps(at+1, depth-1, concurrent)
			a.end(at + 1)
		}
	case 6:
		key("try:")
		a.steps(at+2, depth-1, concurrent)
		finally := a.maybe(2)
		if !finally || a.maybe(2) {
			key("catch:")
			if a.maybe(2) {
				a.branch(at+1, depth-1, concurrent)
			}
			a.line(at+1, "- steps:")
			a.steps(at+3, depth-1, concurrent)
			a.end(at + 3)
		}
		if finally {
			key("finally:")
			a.steps(at+2, depth-1, concurrent)
		}
	case 7:
		key("foreach: [1, 2]")
		key("as: item")
		if a.maybe(2) {
			key("concurrency: 2")
			concurrent = true
		}
		key("steps:")
		a.steps(at+2, depth-1, concurrent)
	case 8:
		key("parallel:")
		for i := range 2 {
			a.line(at+2, "b%d:", i)
			a.steps(at+3, depth-1, true)
		}
	case 9:
		if a.waits < 4 {
			key("id: w%d", a.waits)
			a.waits++
		}
		key(`wait_for: {event: test.message, from: "+33612345678", timeout: 1h}`)
		switch a.r.Intn(3) {
		case 0:
			key("on_timeout: continue")
		case 1:
			key("on_timeout:")
			a.steps(at+1, depth-1, concurrent)
			a.end(at + 1)
		}
	default:
		if a.actions < 6 {
			key("id: s%d", a.actions)
			a.actions++
		}
		key("action: test.note")
		key("with: {text: '${%s}'}", a.expression())
	}
}

// branch writes a case.
func (a *generator) branch(at, depth int, concurrent bool) {
	a.line(at, "- when: '%s'", a.condition())
	a.line(at+1, "steps:")
	a.steps(at+2, depth, concurrent)
	a.end(at + 2)
}

// end writes, sometimes, a step that ends the flow.
func (a *generator) end(at int) {
	if a.maybe(3) {
		a.line(at, "- fail: {code: a, message: b}")
	}
}

func (a *generator) part() string {
	switch k := a.r.Intn(6); a.r.Intn(7) {
	case 6:
		return fmt.Sprintf("steps.s%d.outputs.seen", k)
	case 0:
		return fmt.Sprintf("vars.v%d", k%3)
	case 1:
		return fmt.Sprintf("steps.s%d.error.code", k)
	case 2, 3:
		return fmt.Sprintf("steps.w%d.outputs.text", k%4)
	default:
		return fmt.Sprintf("steps.s%d.outputs.id", k)
	}
}

func (a *generator) expression() string {
	switch a.r.Intn(4) {
	case 0:
		return "(" + a.condition() + ") ? " + a.part() + " : " + a.part()
	case 1:
		return `"x"`
	}
	return a.part()
}

func (a *generator) condition() string {
	switch x, y := a.test(), a.test(); a.r.Intn(5) {
	case 0:
		return "(" + x + ") && (" + y + ")"
	case 1:
		return "(" + x + ") || (" + y + ")"
	case 2:
		return "!(" + x + ")"
	case 3:
		return "(" + x + ") ? (" + y + ") : (" + a.test() + ")"
	default:
		return x
	}
}

func (a *generator) test() string {
	k := a.r.Intn(6)
	switch a.r.Intn(8) {
	case 0:
		return fmt.Sprintf(`steps.s%d.status == "succeeded"`, k)
	case 1:
		return fmt.Sprintf(`steps.s%d.status != %q`, k, []string{"succeeded", "failed", "skipped"}[k%3])
	case 2:
		return fmt.Sprintf(`steps.w%d.status == "succeeded"`, k%4)
	case 3:
		return fmt.Sprintf("has(steps.s%d.outputs.id)", k)
	case 4:
		return fmt.Sprintf("has(steps.s%d.%s)", k, []string{"error", "outputs.seen"}[a.r.Intn(2)])
	case 5:
		return fmt.Sprintf("has(vars.v%d)", k%3)
	case 6:
		return a.part() + ` == "x"`
	default:
		return "inputs." + string("abc"[k%3])
	}
}

// run executes a plan with random outcomes of calls, waits and timers.
func (a *generator) run(p *plan.Plan) []*machine.Step {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	m := machine.New(p, machine.Start{Run: "r", At: now, Inputs: map[string]any{
		"a": a.maybe(2), "b": a.maybe(2), "c": a.maybe(2),
	}})
	var open []machine.Command
	for n := 0; m.Result() == nil; n++ {
		var wanted []machine.Command
		for _, c := range append(open, m.Next()...) {
			if m.Wants(c) {
				wanted = append(wanted, c)
			}
		}
		if open = wanted; len(open) == 0 {
			break
		}
		i := a.r.Intn(len(open))
		c := open[i]
		open = append(open[:i:i], open[i+1:]...)
		now = now.Add(time.Second)
		switch c := c.(type) {
		case *machine.Call:
			o := call.Outcome{Status: call.Succeeded, Output: map[string]any{"id": "i"}}
			if a.maybe(2) {
				o.Output["seen"] = "s"
			}
			if a.maybe(3) {
				o = call.Outcome{Status: call.Failed, Error: &call.Error{Code: "x", Message: "refused"}}
			}
			_ = m.Apply(machine.Taken{At: now, Key: c.Key, Fingerprint: c.Fingerprint})
			_ = m.Apply(machine.Answered{At: now, Key: c.Key, Outcome: o})
		case machine.Await:
			_ = m.Apply(machine.Arrived{At: now, Await: c.ID, ID: fmt.Sprint(n), Data: map[string]any{
				"from": "+33612345678", "type": "text", "text": "x", "timestamp": now, "raw": map[string]any{},
			}})
		case machine.Sleep:
			if c.Until.After(now) {
				now = c.Until
			}
			_ = m.Apply(machine.Fired{At: now, Timer: c.Timer})
		}
	}
	return m.Steps()
}
