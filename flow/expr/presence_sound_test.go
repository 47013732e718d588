package expr_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"

	"facteur/flow/expr"
	"facteur/flow/schema"

	"github.com/stretchr/testify/require"
)

// A scenario is one combination of outcomes of the steps reply and ran.
type scenario struct {
	steps    map[string]any
	outcomes map[string]expr.Outcomes
}

// scenarios lists all combinations, with and without the outputs that are not always present.
func scenarios() []scenario {
	failure := map[string]any{"code": "timeout"}
	states := []struct {
		outcome expr.Outcomes
		value   map[string]any
	}{
		{expr.Succeeded, map[string]any{"status": "succeeded", "attempts": int64(1), "outputs": map[string]any{"always": "a", "text": "oui"}}},
		{expr.Succeeded, map[string]any{"status": "succeeded", "attempts": int64(1), "outputs": map[string]any{"always": "a", "text": "a", "maybe": "b"}}},
		{expr.Failed, map[string]any{"status": "failed", "attempts": int64(1), "outputs": map[string]any{"always": "a"}, "error": failure}},
		{expr.Failed, map[string]any{"status": "failed", "attempts": int64(1), "outputs": map[string]any{"always": "", "text": "a", "maybe": "a"}, "error": failure}},
		{expr.Skipped, map[string]any{"status": "skipped", "attempts": int64(0)}},
	}
	var all []scenario
	for _, reply := range states {
		for _, ran := range states[:4] {
			all = append(all, scenario{
				steps:    map[string]any{"reply": reply.value, "ran": ran.value},
				outcomes: map[string]expr.Outcomes{"reply": reply.outcome, "ran": ran.outcome},
			})
		}
	}
	return all
}

// randomCondition generates a condition over the two steps.
func randomCondition(r *rand.Rand, depth int) string {
	step := []string{"reply", "ran"}[r.IntN(2)]
	status := []string{"succeeded", "failed", "skipped"}[r.IntN(3)]
	if depth > 0 && r.IntN(4) > 0 {
		a, b := randomCondition(r, depth-1), randomCondition(r, depth-1)
		switch r.IntN(7) {
		case 0, 1:
			return fmt.Sprintf("(%s && %s)", a, b)
		case 2, 3:
			return fmt.Sprintf("(%s || %s)", a, b)
		case 4:
			return "!" + a
		case 5:
			return fmt.Sprintf("(%s == %v)", a, r.IntN(2) == 0)
		}
		return fmt.Sprintf("(%s ? %s : %s)", a, b, randomCondition(r, depth-1))
	}
	return fmt.Sprintf([]string{
		`(steps.%[1]s.status == "%[2]s")`,
		`("%[2]s" != steps.%[1]s.status)`,
		`(steps.%[1]s.status in ["%[2]s", "failed"])`,
		`has(steps.%[1]s.outputs.text)`,
		`has(steps.%[1]s.outputs.maybe)`,
		`(steps.%[1]s.outputs.maybe == "a")`,
		`(steps.%[1]s.outputs.?maybe.orValue("a") != "a")`,
		`has(steps.%[1]s.outputs.always)`,
		`has(steps.%[1]s.outputs)`,
		`has(steps.%[1]s.error)`,
		`(steps.?%[1]s.outputs.text.orValue("a") == "oui")`,
		`(steps.?%[1]s.outputs.text.orValue("a") != "a")`,
		`steps.%[1]s.?outputs.text.hasValue()`,
		`(steps.?%[1]s.status.orValue("") == "%[2]s")`,
		`(steps.%[1]s.outputs.text == "oui")`,
		`(steps.%[1]s.outputs.always == "a")`,
		`(steps.%[1]s.error.code == "timeout")`,
		`(steps.%[1]s.outputs == {})`,
		`true`,
		`false`,
	}[r.IntN(20)], step, status)
}

// Accepted reads are present in every scenario that the scope allows, and what a condition
// proves is true in every scenario in which it holds.
func TestPresenceIsSound(t *testing.T) {
	s := expr.NewScope()
	outputs := object(always("always", schema.StringType), field("text", schema.StringType), &schema.Field{Name: "maybe", Type: schema.StringType})
	s.SetStep("reply", expr.Step{Outputs: outputs, Outcomes: expr.Succeeded | expr.Failed | expr.Skipped})
	s.SetStep("ran", expr.Step{Outputs: outputs, Outcomes: expr.Succeeded | expr.Failed})
	r := rand.New(rand.NewPCG(1, 2))
	all := scenarios()
	accepted := 0
	for range 1_000 {
		source := randomCondition(r, 3)
		p, yes, no, list := expr.Condition(textOf(source), s)
		if p == nil {
			require.NotEmpty(t, list)
			continue
		}
		accepted++
		for _, w := range all {
			got, err := p.Eval(expr.Vars{Values: expr.Map{"steps": w.steps}})
			var failure *expr.EvalError
			require.False(t, errors.As(err, &failure), "%s fails with %v in %v", source, err, w.steps)
			then := s.Fork()
			if got == true {
				then.Assume(yes)
			} else {
				then.Assume(no)
			}
			for id, outcome := range w.outcomes {
				st, _ := then.Step(id)
				require.NotZero(t, st.Outcomes&outcome, "%s is %v in %v, and proves otherwise", source, got, w.steps)
			}
			// What is proved to be there can be read.
			for _, read := range []string{"steps.reply.outputs.text", "steps.ran.outputs.text", "steps.ran.outputs.maybe", "steps.reply.outputs.maybe", "steps.reply.outputs.always", "steps.reply.error.code", "steps.ran.error.code"} {
				if p, list := expr.Compile(textOf("${"+read+"}"), then); len(list) == 0 {
					_, err := p.Eval(expr.Vars{Values: expr.Map{"steps": w.steps}})
					require.NoError(t, err, "%s is %v in %v, and lets %s be read", source, got, w.steps, read)
				}
			}
		}
	}
	require.Greater(t, accepted, 150)
}
