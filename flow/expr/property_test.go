package expr_test

import (
	"testing"

	"facteur/flow/diag"
	"facteur/flow/expr"
	"facteur/flow/schema"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// declared is an object type as the inputs of a flow declare it.
func declared(fields ...*schema.Field) *schema.Type {
	t := object(fields...)
	t.NullIsAbsent = true
	return t
}

func optionalField(name string, t *schema.Type) *schema.Field {
	return &schema.Field{Name: name, Type: t}
}

func properties() *expr.Scope {
	address := declared(field("city", schema.StringType), optionalField("zip", schema.StringType))
	person := declared(
		field("name", schema.StringType), optionalField("phone", schema.StringType), optionalField("out", schema.BoolType), optionalField("home", address), optionalField("free", schema.AnyType),
		optionalField("tags", schema.ListOf(schema.StringType)), &schema.Field{Name: "lang", Type: schema.StringType, Default: "fr"})
	s := expr.NewScope()
	s.Bind("inputs", declared(
		field("p", person), field("q", person), field("people", schema.ListOf(person)), field("by_name", schema.MapOf(person)),
		field("any", schema.AnyType), field("i", schema.IntType), optionalField("late", schema.StringType)))
	s.Bind("item", person)
	s.SetVar("who", person)
	s.SetVar("made", &schema.Type{Kind: schema.Map, Elem: schema.StringType, Fields: []*schema.Field{field("sure", schema.StringType), optionalField("note", schema.StringType)}})
	s.SetStep("ran", expr.Step{Outcomes: expr.Succeeded, Outputs: object(always("who", person), optionalField("id", schema.StringType), field("name", schema.StringType), always("items", schema.ListOf(person)))})
	return s
}

// Which properties can be read where: "" or the message.
func TestProperties(t *testing.T) {
	absent := func(what string) string { return what + " may be absent: its type does not require it" }
	phone, out := absent("inputs.p.phone"), absent("p.out")
	for source, want := range map[string]string{
		`inputs.p.name`:          "",
		`inputs.p.lang`:          "", // it has a default
		`inputs.p`:               "",
		`inputs.any.phone`:       "",
		`inputs.p.phone`:         phone,
		`(inputs.p.phone)`:       phone,
		`.inputs.p.phone`:        phone,
		`"n° " + inputs.p.phone`: phone,
		`inputs.late`:            absent("inputs.late"),
		`item.phone`:             absent("item.phone"),
		`vars.who.phone`:         absent("vars.who.phone"),
		`steps.ran.outputs.name`: "", // the outcome says so
		`steps.ran.outputs.id`:   "steps.ran.outputs.id may be absent: the step may succeed without it",
		`vars.made.note`:         "vars.made.note may be absent: what it was set from may have no value",
		`vars.made["note"]`:      "", // as other maps
		`vars.made.sure`:         "",
		`has(vars.made.note) && vars.made.note != ""`: "",
		`vars.made.?note.orValue("")`:                 "",
		`inputs.people.map(vars, vars.name)`:          "",
		`steps.ran.outputs.who.phone`:                 absent("steps.ran.outputs.who.phone"),
		`inputs.people[0].phone`:                      absent("inputs.people[0].phone"),
		`inputs.by_name["x"].phone`:                   absent(`inputs.by_name["x"].phone`),
		`inputs.by_name.x.phone`:                      absent(`inputs.by_name.x.phone`),
		`inputs.people.filter(p, true)[0].phone`:      absent("this value's phone"),
		`inputs.people.filter(p, true)[0].?phone`:     "",
		`(inputs.i > 1 ? inputs.p : inputs.q).phone`:  absent("this value's phone"),
		`json(inputs.p.home.city)`:                    absent("inputs.p.home"),
		`inputs.p.free.x`:                             absent("inputs.p.free"),
		`has(inputs.p.home.city)`:                     absent("inputs.p.home"),
		`inputs.p.home.?zip`:                          absent("inputs.p.home"),
		`[inputs.p.out, inputs.q.out]`:                absent("inputs.p.out") + "; " + absent("inputs.q.out"),

		// Tests.
		`inputs.p.?phone.orValue("")`:                                             "",
		`inputs.?p.phone.orValue("")`:                                             "",
		`inputs.p.?home.zip.orValue("")`:                                          "",
		`has(inputs.p.phone)`:                                                     "",
		`has(inputs.p.phone) ? inputs.p.phone : ""`:                               "",
		`has(inputs.p.phone) ? "" : inputs.p.phone`:                               phone,
		`has(inputs.p.phone) ? inputs.q.phone : ""`:                               absent("inputs.q.phone"),
		`has(inputs.p.out) && inputs.p.out`:                                       "",
		`has(inputs.p.out) || inputs.p.out`:                                       absent("inputs.p.out"),
		`!has(inputs.p.out) || inputs.p.out`:                                      "",
		`inputs.p.?out.orValue(false) && inputs.p.out`:                            "",
		`inputs.p.?out.orValue(true) && inputs.p.out`:                             absent("inputs.p.out"),
		`inputs.p.?out.orValue(true) || inputs.p.out`:                             "",
		`inputs.p.?phone.orValue("") != "" && inputs.p.phone != "1"`:              "",
		`inputs.p.?phone.hasValue() && inputs.p.phone != "1"`:                     "",
		`inputs.p.?home.zip.hasValue() && inputs.p.home.zip != ""`:                "",
		`inputs.p.?home.zip.hasValue() && inputs.p.home.city != ""`:               "",
		`has(inputs.p.home) && has(inputs.p.home.zip) ? inputs.p.home.zip : ""`:   "",
		`has(inputs.p.home) ? inputs.p.home.zip : ""`:                             absent("inputs.p.home.zip"),
		`has(inputs.people[0].phone) ? inputs.people[0].phone : ""`:               "",
		`has(inputs.people[0].phone) ? inputs.people[1].phone : ""`:               absent("inputs.people[1].phone"),
		`has(inputs.people[inputs.i].out) && inputs.people[inputs.i].out`:         "",
		`has(inputs.people[random(0, 9)].out) && inputs.people[random(0, 9)].out`: absent("this value's out"),
		`has(inputs.by_name["x"].out) && inputs.by_name["x"].out`:                 "",
		`has(vars.who.out) && vars.who.out`:                                       "",
		`has(steps.ran.outputs.who.out) && steps.ran.outputs.who.out`:             "",
		`has(steps.ran.outputs.items[0].out) && steps.ran.outputs.items[0].out`:   "",
		`false && inputs.p.out`:                                                   "",

		// Comprehensions.
		`inputs.people.map(p, p.name)`:                                                              "",
		`inputs.people.filter(p, !p.out)`:                                                           out,
		`inputs.people.filter(p, !p.?out.orValue(false))`:                                           "",
		`inputs.people.filter(p, has(p.out) && p.out)`:                                              "",
		`inputs.people.map(p, has(p.phone), p.phone)`:                                               "",
		`inputs.people.map(p, has(p.phone) ? p.phone : "")`:                                         "",
		`inputs.people.exists(p, p.out)`:                                                            out,
		`inputs.people.all(p, !has(p.out) || p.out)`:                                                "",
		`inputs.by_name.transformMap(k, p, p.out)`:                                                  out,
		`inputs.by_name.transformMap(k, p, has(p.out), p.out)`:                                      "",
		`inputs.people.filter(p, has(p.out)).map(p, p.out)`:                                         "",
		`inputs.people.filter(p, has(p.out)).map(q, q.out)`:                                         "",
		`inputs.people.filter(p, has(p.out)).map(q, q.phone)`:                                       absent("q.phone"),
		`inputs.people.filter(p, has(p.out) || true).map(q, q.out)`:                                 absent("q.out"),
		`inputs.people.filter(p, has(p.out)).filter(p, p.out).filter(p, p.out)`:                     "",
		`inputs.people.filter(p, has(p.phone) && p.name != "").sortBy(p, p.phone).map(p, p.phone)`:  "",
		`inputs.people.filter(p, has(p.home) && has(p.home.zip)).map(p, p.home.zip)`:                "",
		`inputs.people.filter(p, has(p.phone)).transformList(i, p, p.phone)`:                        "",
		`inputs.people.filter(p, has(p.tags)).slice(0, 1).map(p, p.tags.map(p, p + "!"))`:           "",
		`inputs.people.sortBy(p, p.phone)`:                                                          absent("p.phone"),
		`inputs.p.?home.optMap(h, h.city).orValue("")`:                                              "",
		`inputs.p.?home.optMap(h, h.zip).orValue("")`:                                               absent("h.zip"),
		`has(inputs.p.phone) && inputs.people.exists(inputs, inputs.phone == "")`:                   absent("inputs.phone"),
		`inputs.people.exists(inputs, has(inputs.phone) && [inputs].exists(inputs, inputs.out))`:    absent("inputs.out"),
		`inputs.people.map(p, has(p.phone) && inputs.people.exists(p, p.phone == ""))`:              absent("p.phone"),
		`has(item.phone) && inputs.people.exists(item, item.phone == "")`:                           absent("item.phone"),
		`has(item.phone) && [1].exists(i, item.phone == "")`:                                        "",
		`inputs.people.filter(p, has(p.phone)).map(p, inputs.people.map(q, q.phone + p.phone))`:     absent("q.phone"),
		`has(inputs.p.phone) && inputs.people.filter(p, p.name == inputs.p.phone).exists(p, true)`:  "",
		`[inputs.people.filter(p, has(p.out)), inputs.people].map(l, l.map(p, p.out))`:              absent("p.out"),
		`inputs.people.filter(p, inputs.people.exists(q, has(q.out)) && has(p.out)).map(p, !p.out)`: "",
	} {
		_, list := expr.Compile(textOf("${"+source+"}"), properties())
		assert.Equal(t, want, messages(list), source)
	}
}

func TestPropertyHints(t *testing.T) {
	for source, want := range map[string][2]string{
		"n° ${inputs.p.phone + '!'}": {"inputs.p.phone", "test it with has(inputs.p.phone), write `inputs.p.?phone.orValue(\"\")`, or give the property a default"},
		"${!inputs.p.out}":           {"inputs.p.out", "test it with has(inputs.p.out), write `inputs.p.?out.orValue(false)`, or give the property a default"},
		"${inputs.p.home.zip}":       {"inputs.p.home", "test it with has(inputs.p.home), write `inputs.p.?home.zip.orValue(\"\")`, or give the property a default"},
		"${has(inputs.p.home.zip)}":  {"inputs.p.home", "test it with has(inputs.p.home), write `inputs.p.?home.zip.hasValue()`, or give the property a default"},
		"${inputs.p.home}":           {"inputs.p.home", "test it with has(inputs.p.home), or give the property a default"},
		"${inputs.people[0].phone}":  {"inputs.people[0].phone", "test it with has(inputs.people[0].phone), write `inputs.people[0].?phone.orValue(\"\")`, or give the property a default"},
		"${vars.made.note + '!'}":    {"vars.made.note", "test it with has(vars.made.note), or write `vars.made.?note.orValue(\"\")`"},
		"${steps.ran.outputs.id}":    {"steps.ran.outputs.id", "test it with has(steps.ran.outputs.id), or write `steps.ran.outputs.?id.orValue(\"\")`"},
		"${[inputs.p][0].phone}":     {"[inputs.p][0].phone", "write `.?phone.orValue(\"\")`, or give the property a default"},
		"${[inputs.p][0].home}":      {"[inputs.p][0].home", "give the property a default"},
	} {
		_, list := expr.Compile(textOf(source), properties())
		if assert.Len(t, list, 1, source) {
			d := list[0]
			assert.Equal(t, want, [2]string{source[d.Range.Start:d.Range.End], d.Hint}, source)
			assert.Equal(t, "maybe-unset", d.Code)
			assert.NotEmpty(t, d.Subject, "a guard that is forgotten is told once")
		}
	}
}

// Outputs of actions are mostly complete, so that reading one without a test is only a
// warning; not so for inputs.
func TestPropertiesOfOthers(t *testing.T) {
	for foreign, want := range map[bool]diag.Severity{true: diag.Warning, false: diag.Error} {
		s := properties()
		ran, _ := s.Step("ran")
		ran.External = foreign
		s.SetStep("ran", ran)
		p, list := expr.Compile(textOf("${steps.ran.outputs.id}"), s)
		require.Len(t, list, 1)
		assert.Equal(t, want, list[0].Severity)
		assert.Equal(t, foreign, p != nil)

		ran.Outcomes = expr.Succeeded | expr.Failed
		s.SetStep("ran", ran)
		_, list = expr.Compile(textOf("${steps.ran.outputs.id}"), s)
		assert.Equal(t, diag.Error, list[0].Severity, "the step may have failed")
	}
}

// What is proved about a property holds until its owner is redeclared.
func TestAssumeProperties(t *testing.T) {
	s := properties()
	s.Bind("i", schema.IntType)
	_, yes, no, list := expr.Condition(textOf("has(inputs.p.phone) && has(item.out) && has(vars.who.out) && has(steps.ran.outputs.who.out) && has(inputs.people[i].out)"), s)
	require.Empty(t, list)
	s.Assume(no)
	assert.False(t, compiles(s, "${inputs.p.phone}"))
	s.Assume(yes)
	assert.True(t, compiles(s, "${inputs.people[i].out}"))
	next := s.Fork()
	next.Bind("i", schema.IntType)
	assert.False(t, compiles(next, "${inputs.people[i].out}"), "it is another place in the list")
	for _, read := range []string{"${inputs.p.phone}", "${inputs.p.phone + '!'}", "${item.out}", "${vars.who.out}", "${steps.ran.outputs.who.out}"} {
		assert.True(t, compiles(s, read), read)
		assert.False(t, compiles(properties(), read), read)
	}
	way := s.Fork()
	way.Join([]*expr.Scope{s.Fork(), s.Fork()}, []*expr.Scope{properties()})
	assert.True(t, compiles(way, "${inputs.p.phone}"), "it is proved in every way that goes on")
	way.Join([]*expr.Scope{s.Fork(), properties()}, nil)
	assert.False(t, compiles(way, "${inputs.p.phone}"), "it is not proved in one")

	inside := s.Fork()
	inside.Bind("item", inside.Var("who"))
	assert.False(t, compiles(inside, "${item.out}"), "it is another item")
	inside.Bind("p", inside.Var("who"))
	assert.True(t, compiles(inside, "${inputs.p.phone}"), "a part of the name is no name")
	inside.ReassignVar("who", inside.Var("who"))
	assert.False(t, compiles(inside, "${vars.who.out}"), "it may have been set anew")
	st, _ := inside.Step("ran")
	inside.SetStep("ran", st)
	assert.False(t, compiles(inside, "${steps.ran.outputs.who.out}"), "it may have run again")
	again := s.Fork()
	again.SetVar("who", again.Var("who"))
	assert.False(t, compiles(again, "${vars.who.out}"), "it was set anew")
	assert.True(t, compiles(s, "${vars.who.out}"), "a fork does not change its origin")
}

func TestBindItem(t *testing.T) {
	for source, ok := range map[string]bool{
		`${inputs.people.filter(p, has(p.phone) && p.name != "")}`: true,
		`${inputs.people.filter(p, p.name != "")}`:                 false,
		`${inputs.people}`: false,
	} {
		s := properties()
		p, list := expr.Compile(textOf(source), s)
		require.Empty(t, list, source)
		s.BindItem("person", p.Type().Elem, p)
		assert.Equal(t, ok, compiles(s, "${person.phone}"), source)
		s.BindItem("person", p.Type().Elem, nil)
		assert.False(t, compiles(s, "${person.phone}"), source)
	}
}

func TestAllowAbsent(t *testing.T) {
	s := properties()
	s.AllowAbsent()
	assert.True(t, compiles(s.Fork(), "${inputs.p.phone}"))
	assert.True(t, compiles(s.Fork(), "${inputs.people.map(p, p.phone)}"))
}
