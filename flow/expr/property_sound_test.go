package expr_test

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"facteur/flow/expr"
	"facteur/flow/schema"

	"github.com/stretchr/testify/require"
)

// randomRead generates a condition over the optional properties of inputs.p, inputs.q and the
// elements of inputs.people, and of the variables of comprehensions.
func randomRead(r *rand.Rand, depth int, names []string) string {
	of := names[r.IntN(len(names))]
	if depth == 0 || r.IntN(5) == 0 {
		return fmt.Sprintf([]string{
			`has(%[1]s.a)`,
			`has(%[1]s.a)`,
			`has(%[1]s.home)`,
			`has(%[1]s.home.zip)`,
			`%[1]s.?home.zip.hasValue()`,
			`%[1]s.home.?zip.orValue(false)`,
			`%[1]s.?a.orValue(false)`,
			`%[1]s.?a.orValue(true)`,
			`(%[1]s.?a.orValue(true) == false)`,
			`%[1]s.a`,
			`%[1]s.a`,
			`%[1]s.home.zip`,
			`%[1]s.sure`,
			`(%[1]s.home == %[1]s.home)`,
		}[r.IntN(14)], of)
	}
	less := func() string { return randomRead(r, depth-1, names) }
	name := []string{"x", "y", "inputs"}[r.IntN(3)]
	inside := append([]string{name}, names...)
	if name == "inputs" {
		inside = []string{name}
	}
	loop := func() string { return randomRead(r, depth-1, inside) }
	list := "inputs.people"
	if names[0] == "inputs" || len(names) > 1 && names[1] == "inputs" {
		list = "[" + names[0] + "]"
	}
	switch r.IntN(11) {
	case 0, 1:
		return fmt.Sprintf("(%s && %s)", less(), less())
	case 2, 3:
		return fmt.Sprintf("(%s || %s)", less(), less())
	case 4:
		return "!" + less()
	case 5:
		return fmt.Sprintf("(%s ? %s : %s)", less(), less(), less())
	case 6:
		return fmt.Sprintf("%s.exists(%s, %s)", list, name, loop())
	case 7:
		return fmt.Sprintf("%s.filter(%s, %s).all(%s, %s)", list, name, loop(), name, loop())
	case 8:
		return fmt.Sprintf("(%s.filter(%s, %s).sortBy(%s, %s).map(%s, %s) == [])", list, name, loop(), name, loop(), name, loop())
	case 9:
		return fmt.Sprintf("(%s.map(%s, %s, %s) == [])", list, name, loop(), loop())
	}
	return fmt.Sprintf("(%s.filter(%s, %s).filter(%s, %s).transformList(i, %s, %s) == [])", list, name, loop(), name, loop(), name, loop())
}

// An accepted expression never finds a property missing, whichever are present.
func TestPropertiesAreSound(t *testing.T) {
	home := declared(optionalField("zip", schema.BoolType))
	person := declared(field("sure", schema.BoolType), optionalField("a", schema.BoolType), optionalField("home", home))
	s := expr.NewScope()
	s.Bind("inputs", declared(field("p", person), field("q", person), field("people", schema.ListOf(person))))
	var people []any
	for i := range 18 {
		p := map[string]any{"sure": i%2 == 0}
		if a := i / 2 % 3; a > 0 {
			p["a"] = a == 1
		}
		switch i / 6 {
		case 1:
			p["home"] = map[string]any{}
		case 2:
			p["home"] = map[string]any{"zip": i%2 == 0}
		}
		people = append(people, p)
	}
	r := rand.New(rand.NewPCG(3, 4))
	accepted := 0
	for range 1_000 {
		source := randomRead(r, 3, []string{"inputs.p", "inputs.q", "inputs.people[0]"})
		p, yes, no, list := expr.Condition(textOf(source), s)
		if p == nil {
			require.NotEmpty(t, list)
			continue
		}
		accepted++
		for _, a := range people {
			inputs := map[string]any{"p": a, "q": people[r.IntN(18)], "people": []any{people[r.IntN(18)], a, people[r.IntN(18)]}}
			v := expr.Vars{Values: expr.Map{"inputs": inputs}}
			got, err := p.Eval(v)
			require.NoError(t, err, "%s of %v", source, inputs)
			then := s.Fork()
			if got == true {
				then.Assume(yes)
			} else {
				then.Assume(no)
			}
			for _, read := range []string{"inputs.p.a", "inputs.p.home", "inputs.q.home.zip", "inputs.people[0].a"} {
				if p, list := expr.Compile(textOf("${"+read+"}"), then); len(list) == 0 {
					_, err := p.Eval(v)
					require.NoError(t, err, "%s is %v of %v, and lets %s be read", source, got, inputs, read)
				}
			}
		}
	}
	require.Greater(t, accepted, 150)
}
