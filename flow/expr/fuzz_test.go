package expr_test

import (
	"errors"
	"strings"
	"testing"

	"facteur/flow/expr"
)

var seeds = []string{
	"", "plain", "${inputs.phone}", "a $${b} ${inputs.count + 1} $", "${'}'}", "${r'\\'}", "${'''}'''}", "${ {'a': 1}['a'] }", "${{a}}", "${", "${'",
	"${steps.reply.status == \"succeeded\" ? steps.reply.outputs.text : ''}", "${has(steps.ran.outputs.message_id)}", "${steps.?reply.outputs.text.orValue('')}",
	"${inputs.tags.map(t, t + '!').join(',')}", "${inputs.prices.transformMap(k, v, v)}", "${e164('06 12 34 56 78', 'FR')}", "${json(inputs)} ${uuid()} ${random(1, 2)} ${now()}",
	"${'%s'.format([1])}", "${inputs.orders.sortBy(o, o.total)}", "${[1, 2][?0].optMap(x, x + 1)}", "${lists.range(10).map(i, i)}", "${regex.replace('a', 'b', 'c')}", "${b'x'}", "${1u - 2u}",
	"é${'é' + inputs.nope}\n// }", "${inputs['phone']}", "${steps[inputs.name]}", "${type(1) == int}", "${-9223372036854775808 / -1}", "${.steps.notify.status}", "${`a-b`}", "${inputs.free.`a b`}",
}

func FuzzScan(f *testing.F) {
	for _, seed := range seeds {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, source string) {
		parts, list := expr.Scan(textOf(source))
		if len(list) > 0 {
			return
		}
		var back strings.Builder
		for _, part := range parts {
			if part.Expr == nil {
				back.WriteString(strings.ReplaceAll(part.Text, "${", "$${"))
				continue
			}
			back.WriteString("${" + part.Expr.Value + "}")
		}
		if back.String() != source {
			t.Fatalf("%q became %q", source, back.String())
		}
	})
}

func FuzzCompile(f *testing.F) {
	for _, seed := range seeds {
		f.Add(seed)
	}
	s := scope() // to make one takes longer than to compile most expressions
	f.Fuzz(func(t *testing.T, source string) {
		p, list := expr.Compile(textOf(source), s)
		if (p == nil) != list.HasErrors() {
			t.Fatalf("a program, or errors: %v", list)
		}
		for _, d := range list {
			if d.Range.Start < 0 || d.Range.End > len(source) || d.Range.Start > d.Range.End {
				t.Fatalf("%v is outside of the source", d.Range)
			}
			if _, ok := expr.Codes.Explain(d.Code); !ok {
				t.Fatalf("%s is not explained", d.Code)
			}
		}
		if p != nil {
			evaluates(t, p)
		}
		if p, _, _, _ := expr.Condition(textOf(source), s); p != nil {
			evaluates(t, p)
		}
	})
}

func evaluates(t *testing.T, p *expr.Program) {
	_, err := p.Eval(vars())
	var failure *expr.EvalError
	if err != nil && !errors.As(err, &failure) {
		t.Fatalf("%T is not an *EvalError", err)
	}
	if failure != nil && strings.Contains(failure.Message, "could not be") {
		t.Fatal(failure.Message)
	}
}
