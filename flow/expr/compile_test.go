package expr_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"facteur/flow/diag"
	"facteur/flow/expr"
	"facteur/flow/schema"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func object(fields ...*schema.Field) *schema.Type {
	return &schema.Type{Kind: schema.Object, Fields: fields}
}

func field(name string, t *schema.Type) *schema.Field {
	return &schema.Field{Name: name, Type: t, Required: true}
}

func always(name string, t *schema.Type) *schema.Field {
	return &schema.Field{Name: name, Type: t, Required: true, Always: true}
}

var (
	sendOutputs = object(
		always("status_code", schema.IntType),
		always("success", schema.BoolType),
		field("message_id", schema.StringType),
		&schema.Field{Name: "repeats", Type: schema.StringType},
		field("body", schema.AnyType),
		field("contacts", schema.ListOf(object(field("wa_id", schema.StringType)))),
	)
	replyOutputs = object(
		field("text", schema.StringType),
		field("at", schema.TimestampType),
		field("score", schema.IntType),
	)
)

// scope returns a scope with variables and steps of every kind.
func scope() *expr.Scope {
	s := expr.NewScope()
	s.Bind("inputs", object(
		field("phone", &schema.Type{Kind: schema.String, Format: "e164"}),
		field("name", schema.StringType),
		field("count", schema.IntType),
		field("price", schema.NumberType),
		field("urgent", schema.BoolType),
		field("when", schema.TimestampType),
		field("pause", schema.DurationType),
		field("tags", schema.ListOf(schema.StringType)),
		field("prices", schema.MapOf(schema.NumberType)),
		field("order", object(field("id", schema.StringType), &schema.Field{Name: "note", Type: schema.StringType})),
		field("extra", schema.AnyType),
		field("free", &schema.Type{Kind: schema.Object, Open: true}),
		field("orders", schema.ListOf(object(field("id", schema.StringType), field("total", schema.NumberType)))),
	))
	s.Bind("settings", &schema.Type{Kind: schema.Object, Open: true, Fields: []*schema.Field{field("shop", schema.StringType)}})
	s.SetVar("lang", schema.StringType)
	s.SetVar("texts", schema.MapOf(schema.StringType))
	s.SetStep("notify", expr.Step{Outputs: sendOutputs, Outcomes: expr.Succeeded})
	s.SetStep("ran", expr.Step{Outputs: sendOutputs, Outcomes: expr.Succeeded | expr.Failed})
	s.SetStep("reply", expr.Step{Outputs: replyOutputs, Outcomes: expr.Succeeded | expr.Failed | expr.Skipped})
	s.SetStep("maybe", expr.Step{Outputs: replyOutputs, Outcomes: expr.Succeeded | expr.Skipped})
	s.SetStep("failed", expr.Step{Outputs: sendOutputs, Outcomes: expr.Failed})
	s.SetStep("inner", expr.Step{Outputs: sendOutputs, Outcomes: expr.Succeeded, Hidden: "it runs in a sibling branch"})
	return s
}

func vars() expr.Vars {
	sent := map[string]any{
		"status_code": int64(200), "success": true, "message_id": "wamid.X",
		"body":     map[string]any{"messages": []any{map[string]any{"id": "wamid.X"}}},
		"contacts": []any{map[string]any{"wa_id": "33612345678"}},
	}
	return expr.Vars{
		Now:    time.Date(2026, 1, 31, 8, 0, 0, 0, time.UTC),
		Random: &fakeRandom{},
		Values: expr.Map{
			"inputs": map[string]any{
				"phone": "+33612345678", "name": "Zoé", "count": int64(3), "price": 2.5, "urgent": true,
				"when": time.Date(2026, 2, 1, 9, 30, 0, 0, time.UTC), "pause": 90 * time.Minute,
				"tags": []any{"a", "b"}, "prices": map[string]any{"tea": 3.0, "cake": 4.5, "jam": 2.0},
				"order": map[string]any{"id": "7"},
				"extra": map[string]any{"n": int64(1), "deep": map[string]any{"list": []any{int64(1), "x", nil}}},
				"free":  map[string]any{"z": int64(1), "a": int64(2)},
				"orders": []any{
					map[string]any{"id": "1", "total": 10.0},
					map[string]any{"id": "2", "total": 20.5},
				},
			},
			"settings": map[string]any{"shop": "Chez Nous", "vip": true},
			"vars":     map[string]any{"lang": "fr", "texts": map[string]any{"fr": "Bonjour", "en": "Hello"}},
			"run":      map[string]any{"id": "r1", "flow": "greet", "started_at": time.Date(2026, 1, 31, 7, 0, 0, 0, time.UTC)},
			"steps": map[string]any{
				"notify": map[string]any{"status": "succeeded", "attempts": int64(1), "outputs": sent},
				"ran": map[string]any{"status": "failed", "attempts": int64(2), "outputs": map[string]any{"status_code": int64(400), "success": false},
					"error": map[string]any{"code": "131026", "meta_code": int64(131026), "message": "undeliverable", "class": "recipient", "status_code": int64(400), "step": "ran", "details": map[string]any{}}},
				"reply": map[string]any{"status": "skipped", "attempts": int64(0)},
				"maybe": map[string]any{"status": "succeeded", "attempts": int64(1), "outputs": map[string]any{"text": "oui", "score": int64(5), "at": time.Date(2026, 1, 31, 7, 30, 0, 0, time.UTC)}},
				"failed": map[string]any{"status": "failed", "attempts": int64(1), "outputs": map[string]any{"status_code": int64(0), "success": false},
					"error": map[string]any{"code": "timeout", "meta_code": int64(0), "message": "too late", "class": "timeout", "status_code": int64(0), "step": "failed", "details": map[string]any{}}},
			},
		},
	}
}

// fakeRandom gives a, a+1, a+2 … up to b.
type fakeRandom struct{ n, ids int64 }

func (d *fakeRandom) Int(a, b int64) (int64, error) {
	if a == 13 {
		return 0, errors.New("no luck")
	}
	d.n++
	return min(a+d.n-1, b), nil
}

func (d *fakeRandom) UUID() string {
	d.ids++
	return fmt.Sprintf("00000000-0000-4000-8000-%012d", d.ids)
}

func textOf(s string) diag.Text {
	src := diag.NewSource("test.yaml", []byte(s))
	return diag.NewText(s, diag.Range{Source: src, Start: 0, End: len(s)})
}

func eval(t *testing.T, source string) (any, error) {
	t.Helper()
	p, list := expr.Compile(textOf(source), scope())
	require.Empty(t, list, source)
	return p.Eval(vars())
}

func TestEval(t *testing.T) {
	for source, want := range map[string]any{
		"":                                       "",
		"plain":                                  "plain",
		"$5 and $${x}":                           "$5 and ${x}",
		"${inputs.phone}":                        "+33612345678",
		"  ${ inputs.count }\n":                  int64(3),
		"n° ${inputs.count}":                     "n° 3",
		"${inputs.price}€":                       "2.5€",
		"${inputs.urgent}!":                      "true!",
		"at ${inputs.when}":                      "at 2026-02-01T09:30:00Z",
		"in ${inputs.pause}":                     "in 1h30m",
		"${inputs.tags}":                         []any{"a", "b"},
		"${inputs.count + 1}":                    int64(4),
		"${ {'a': 1}['a'] }":                     int64(1),
		"${'}' + \"{\" + '''}'''}":               "}{}",
		"${r'\\' + '}'}":                         `\}`,
		"${inputs.urgent ? inputs.name : \"x\"}": "Zoé",
		"${inputs.tags.join(', ')}":              "a, b",
		"${inputs.tags.map(t, t + '!')}":         []any{"a!", "b!"},
		"${inputs.prices.map(k, k)}":             []any{"cake", "jam", "tea"},
		"${inputs.free.map(k, k)}":               []any{"a", "z"},
		"${inputs.prices.transformMap(k, v, v * 2.0).map(k, k)}":                       []any{"cake", "jam", "tea"},
		"${inputs.prices.transformList(k, v, k + '=' + string(v))}":                    []any{"cake=4.5", "jam=2", "tea=3"},
		"${vars.texts[vars.lang]}":                                                     "Bonjour",
		"${steps.notify.outputs.status_code}":                                          int64(200),
		"${steps.notify.outputs.body.messages[0].id}":                                  "wamid.X",
		"${steps.ran.outputs.status_code}":                                             int64(400),
		"${steps.failed.error.code}":                                                   "timeout",
		"${steps.reply.status}":                                                        "skipped",
		"${steps.reply.attempts}":                                                      int64(0),
		`${steps.?reply.outputs.text.orValue("-")}`:                                    "-",
		`${steps.reply.?outputs.text.orValue("-")}`:                                    "-",
		`${steps.reply.outputs.?text.orValue("-")}`:                                    "-",
		`${steps.?maybe.outputs.text.orValue("-")}`:                                    "oui",
		`${steps.?reply.outputs.text}`:                                                 expr.Absent{},
		`${steps.?maybe.outputs.text}`:                                                 "oui",
		`${has(steps.reply.outputs.text)}`:                                             false,
		`${has(steps.maybe.outputs.text)}`:                                             true,
		`${has(steps.ran.error)}`:                                                      true,
		`${has(steps.ran.outputs.message_id) ? steps.ran.outputs.message_id : "none"}`: "none",
		`${has(inputs.order.note)}`:                                                    false,
		`${inputs.order.?note.orValue("none")}`:                                        "none",
		`${now() - run.started_at}`:                                                    time.Hour,
		`${now()}`:                                                                     time.Date(2026, 1, 31, 8, 0, 0, 0, time.UTC),
		`${duration("7d")}`:                                                            7 * 24 * time.Hour,
		`${duration("1.5h")}`:                                                          90 * time.Minute,
		`${timestamp("2026-01-31T08:00:00Z") == now()}`:                                true,
		`${random(1, 6)}`:                                                              int64(1),
		`${[1, 2, 3].map(i, random(1, 6))}`:                                            []any{int64(1), int64(2), int64(3)},
		`${uuid()}`:                                                                    "00000000-0000-4000-8000-000000000001",
		`${uuid() == uuid()}`:                                                          false,
		`${e164("06 12 34 56 78", "FR")}`:                                              "+33612345678",
		`${format(now(), "DD/MM/YYYY HH:mm:ss", "Europe/Paris")}`:                      "31/01/2026 09:00:00",
		`${format(now(), "DD.MM. à HHhmm", "+05:30")}`:                                 "31.01. à 13h30",
		`${format(now() - duration("24h"), "YYYY-MM-DD", "Pacific/" + "Auckland")}`:    "2026-01-30",
		`${format(inputs.name == "" ? now() : timestamp("0033-02-01T00:00:00Z"), "YYYY", "UTC")}`: "0033",
		`${pad(42, 6) + pad(-7, 3) + pad(1234, 2)}`:                                               "000042-0071234",
		`${mask(inputs.phone)}`:                                   "********5678",
		`${mask("123456")}`:                                       "****56",
		`${mask("123")}`:                                          "***",
		`${sha256("abc")}`:                                        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
		`${json(inputs.extra)}`:                                   `{"deep":{"list":[1,"x",null]},"n":1}`,
		`${json({"b": inputs.pause, "a": "<&>"})}`:                `{"a":"<&>","b":"1h30m"}`,
		`${base64.encode(b"abc")}`:                                "YWJj",
		`${math.greatest(1, inputs.count)}`:                       int64(3),
		`${"%s has %d".format([inputs.name, 3])}`:                 "Zoé has 3",
		`${regex.extract("n 42", "([0-9]+)").orValue("")}`:        "42",
		`${"a-b".replace("-", "+")}`:                              "a+b",
		`${"a-b-c".replace("-", "+", 1)}`:                         "a+b-c",
		`${inputs.orders.filter(o, o.total > 15.0).map(o, o.id)}`: []any{"2"},
		`${inputs.orders.map(o, o.total > 15.0, o.id)}`:           []any{"2"},
		`${inputs.orders.sortBy(o, -o.total)[0].id}`:              "2",
		`${inputs.count > 2.5}`:                                   true,
		`${5u}`:                                                   int64(5),
		`${null}`:                                                 nil,
		`${inputs.extra.deep.list}`:                               []any{int64(1), "x", nil},
		`${[1, 'a', null, {'k': [true]}]}`:                        []any{int64(1), "a", nil, map[string]any{"k": []any{true}}},
		`${settings.shop}/${settings.vip}`:                        "Chez Nous/true",
		`${steps.?maybe.outputs.optMap(o, o.text).orValue('')}`:   "oui",
		`${steps.maybe.status == "succeeded" ? steps.maybe.outputs.text : ""}`: "oui",
		"${// what it costs }\ninputs.price}":                                  2.5,
	} {
		got, err := eval(t, source)
		if assert.NoError(t, err, source) {
			assert.Equal(t, want, got, source)
		}
	}
}

// messages joins the messages of a list.
func messages(list diag.List) string {
	list.Sort()
	all := make([]string, len(list))
	for i, d := range list {
		all[i] = d.Message
	}
	return strings.Join(all, "; ")
}
