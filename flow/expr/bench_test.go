package expr_test

import (
	"testing"

	"facteur/flow/expr"
	"facteur/flow/schema"
)

func BenchmarkNewScopeAndThreeCompiles(b *testing.B) {
	inputs := object(field("phone", schema.StringType), field("name", schema.StringType))
	for _, c := range []struct{ name, condition string }{
		{"paths", "${inputs.phone}"},
		{"expression", `${inputs.name == "x" ? inputs.name : inputs.phone}`},
	} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				s := expr.NewScope()
				s.Bind("inputs", inputs)
				for _, source := range []string{"n° ${inputs.phone}", "${inputs.name}", c.condition} {
					if _, list := expr.Compile(textOf(source), s); len(list) > 0 {
						b.Fatal(list)
					}
				}
			}
		})
	}
}

func BenchmarkCondition(b *testing.B) {
	s := scope()
	b.ReportAllocs()
	for b.Loop() {
		if _, _, _, list := expr.Condition(textOf(`steps.reply.status == "succeeded" && steps.reply.outputs.text == "oui"`), s); len(list) > 0 {
			b.Fatal(list)
		}
	}
}

func BenchmarkEval(b *testing.B) {
	for _, c := range []struct{ name, source string }{
		{"path", "${inputs.phone}"},
		{"text", "n° ${inputs.phone}"},
		{"ternary", `${inputs.urgent ? inputs.name : "x"}`},
		{"concat", `${inputs.name + "!"}`},
		{"list", `${inputs.orders.filter(o, o.total > 15.0).map(o, o.id)}`},
	} {
		p, list := expr.Compile(textOf(c.source), scope())
		if len(list) > 0 {
			b.Fatal(list)
		}
		b.Run(c.name, func(b *testing.B) { benchmarkEval(b, p) })
	}
	p, _, _, list := expr.Condition(textOf(`steps.maybe.status == "succeeded" && steps.maybe.outputs.text == "oui"`), scope())
	if len(list) > 0 {
		b.Fatal(list)
	}
	b.Run("condition", func(b *testing.B) { benchmarkEval(b, p) })
}

func benchmarkEval(b *testing.B, p *expr.Program) {
	v := vars()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := p.Eval(v); err != nil {
			b.Fatal(err)
		}
	}
}
