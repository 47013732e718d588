package schema_test

import (
	"encoding/json"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"facteur/flow/schema"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// content is a union: its shape depends on the kind of the message.
type content struct{ Value map[string]any }

func (content) SchemaType() *schema.Type {
	return &schema.Type{Kind: schema.Union, Tag: "kind", Cases: []schema.Case{
		{Value: "text", Type: schema.Of[struct {
			Body    string `json:"body" doc:"the text" schema:"required,minLength=1,maxLength=10"`
			Preview bool   `json:"preview" schema:"default=false"`
		}]()},
		{Value: "location", Type: schema.Of[struct {
			Latitude float64 `json:"latitude" schema:"required,minimum=-90,maximum=90"`
		}]()},
	}}
}

func (c *content) DecodeValue(v any) error { c.Value, _ = v.(map[string]any); return nil }
func (c content) EncodeValue() any         { return c.Value }

type message struct {
	To      string            `json:"to" doc:"who gets it" schema:"required,format=e164"`
	Kind    string            `json:"kind" schema:"required,foldcase,enum=text|location"`
	Content content           `json:"content" schema:"required"`
	ID      int64             `json:"id,omitempty" schema:"minimum=1"`
	Ratio   float64           `json:"ratio,omitempty" schema:"maximum=1"`
	At      time.Time         `json:"at,omitempty"`
	Wait    time.Duration     `json:"wait" schema:"default=90s"`
	Urgent  *bool             `json:"urgent"`
	Tags    []string          `json:"tags,omitempty" schema:"minItems=1,maxItems=3,pattern=^[a-z]{1,3}$"`
	Labels  map[string]string `json:"labels,omitempty" schema:"maxItems=2"`
	Code    string            `json:"code,omitempty" schema:"sensitive,enum=1234|5678"`
	Extra   any               `json:"extra,omitempty"`
	Page    string            `json:"page,omitempty" schema:"format=uri"`
	Nested  []nested          `json:"nested,omitempty"`
}

type nested struct {
	Name string `json:"name" schema:"required"`
}

var messageType = schema.Of[message]()

// with returns a valid message with some fields replaced; absent ones are left out.
func with(fields ...any) map[string]any {
	m := map[string]any{"to": "+33612345678", "kind": "text", "content": map[string]any{"body": "salut"}}
	for i := 0; i < len(fields); i += 2 {
		if fields[i+1] == nil {
			delete(m, fields[i].(string))
		} else {
			m[fields[i].(string)] = fields[i+1]
		}
	}
	return m
}

func TestCoerceValues(t *testing.T) {
	nine := time.Date(2030, 1, 31, 9, 0, 0, 0, time.UTC)
	type named string
	for _, tt := range []struct {
		typ      *schema.Type
		in, want any
	}{
		{schema.IntType, 3.0, int64(3)},
		{schema.IntType, 3, int64(3)},
		{schema.IntType, uint8(3), int64(3)},
		{schema.IntType, json.Number("9007199254740993"), int64(9007199254740993)},
		{schema.IntType, json.Number("3.0"), int64(3)},
		{schema.IntType, float64(1 << 53), int64(1 << 53)},
		{schema.NumberType, 3, 3.0},
		{schema.NumberType, json.Number("1e3"), 1000.0},
		{schema.NumberType, float32(0.5), 0.5},
		{schema.StringType, named("x"), "x"},
		{schema.TimestampType, "2030-01-31T09:00:00Z", nine},
		{schema.TimestampType, nine, nine},
		{schema.DurationType, "1h30m", 90 * time.Minute},
		{schema.AnyType, []any{json.Number("1"), json.Number("1.0"), 2, nil, "x"}, []any{int64(1), 1.0, int64(2), nil, "x"}},
		{schema.AnyType, map[string]string{"a": "b"}, map[string]any{"a": "b"}},
		{schema.AnyType, nested{"x"}, map[string]any{"name": "x"}},
		{schema.ListOf(schema.IntType), []int{1, 2}, []any{int64(1), int64(2)}},
		{schema.MapOf(schema.NumberType), map[string]any{"a": 1}, map[string]any{"a": 1.0}},
		{schema.Of[nested](), nested{"x"}, map[string]any{"name": "x"}},
		{&schema.Type{Kind: schema.Int, Enum: []any{1, 2}}, 2.0, int64(2)},
		{&schema.Type{Kind: schema.Number, Enum: []any{int64(1)}}, 1, 1.0},
		{&schema.Type{Kind: schema.List}, []any{1}, []any{int64(1)}},
		{schema.IntType, schema.Unknown{Type: schema.StringType}, schema.Unknown{Type: schema.StringType}},
		{messageType, with("kind", "TEXT", "id", 7.0), with("kind", "text", "id", int64(7), "wait", 90*time.Second,
			"content", map[string]any{"body": "salut", "preview": false})},
		{messageType, with("kind", schema.Unknown{}, "content", map[string]any{"anything": 1}, "wait", "2m"),
			with("kind", schema.Unknown{}, "content", map[string]any{"anything": int64(1)}, "wait", 2*time.Minute)},
		{messageType, with("content", schema.Unknown{}), with("content", schema.Unknown{}, "wait", 90*time.Second)},
	} {
		got, found := tt.typ.Coerce(tt.in)
		require.NoError(t, found.Err(), "%v", tt.in)
		assert.Equal(t, tt.want, got)
		again, found := tt.typ.Coerce(got)
		require.NoError(t, found.Err())
		assert.Equal(t, got, again)
	}
}

func TestCoerceViolations(t *testing.T) {
	for _, tt := range []struct {
		in   any
		want []string // "path | rule | message | hint"
	}{
		{with("to", nil), []string{` | required | missing field "to" | to: who gets it`}},
		{with("mesage", "x"), []string{`mesage | unknown-field | no field "mesage" | fields: at, code, content, extra, id, kind, labels, nested, page, ratio, tags, to, urgent, wait`}},
		{with("content", map[string]any{"bdy": "x"}), []string{
			`content.bdy | unknown-field | content has no field "bdy" | did you mean "body"? fields: body, preview`}},
		{with("nested", []any{map[string]any{"name": "a"}, map[string]any{"name": "b", "nme": 1}}), []string{
			`nested[1].nme | unknown-field | nested[1] has no field "nme" | did you mean "name"? fields: name`}},
		{with("to", 33612345678), []string{`to | type | expected string, got integer | put it in quotes: "33612345678"`}},
		{with("to", "33612345678"), []string{`to | format | "33612345678" is not a phone number in E.164 form | put a + before the country code: "+33612345678"`}},
		{with("to", "0033612345678"), []string{`to | format | "0033612345678" is not a phone number in E.164 form | write + in place of 00: "+33612345678"`}},
		{with("to", "+33 6 12 34 56 78"), []string{`to | format | "+33 6 12 34 56 78" is not a phone number in E.164 form | remove spaces and punctuation: "+33612345678"`}},
		{with("to", "0612345678"), []string{`to | format | "0612345678" is not a phone number in E.164 form | write the country code and the number with a + before them, 7 to 15 digits: "+33612345678"`}},
		{with("kind", "txt"), []string{`kind | enum | "txt" is not one of the allowed values | did you mean "text"? allowed: location, text`}},
		{with("kind", "Location", "content", map[string]any{"latitude": 91}), []string{`content.latitude | maximum | 91 is more than 90 | `}},
		{with("content", map[string]any{"body": ""}), []string{`content.body | min-length | must not be empty | `}},
		{with("content", map[string]any{"body": "ééééééééééé"}), []string{`content.body | max-length | has 11 characters, at most 10 are allowed | `}},
		{with("content", map[string]any{"body": "🙂🙂🙂🙂🙂🙂"}), []string{`content.body | utf16-length | has 6 characters, but 12 as UTF-16 counts them, which is over 10 | some emoji count twice there; shorten the text to be sure`}},
		{with("content", "salut"), []string{`content | type | expected object, got string | write {body: "salut"}`}},
		{with("content", `{"body": "salut"}`), []string{`content | type | expected object, got string | this is a string that looks like JSON: remove the quotes around it`}},
		{with("id", "7"), []string{`id | type | expected integer, got string | remove the quotes`}},
		{with("id", 0), []string{`id | minimum | 0 is less than 1 | `}},
		{with("id", 1.5), []string{`id | type | expected integer, got number | `}},
		{with("id", 1e16), []string{`id | type | expected integer, got a number over 2^53, whose last digits are lost | write a long number that is not a quantity as a string`}},
		{with("ratio", math.NaN()), []string{`ratio | type | expected number, got nan, which is not a number | `}},
		{with("ratio", json.Number("1e999")), []string{`ratio | type | "1e999" is too large for a number | `}},
		{with("at", "2030-01-31"), []string{`at | format | "2030-01-31" is not a timestamp | add the time and the zone: "2030-01-31T09:00:00+01:00"`}},
		{with("wait", 90), []string{`wait | type | expected duration, got integer | write it as "90s", "1h30m" or "7d"`}},
		{with("wait", "PT90S"), []string{`wait | format | "PT90S" is not a duration: the ISO 8601 form is not supported, write it as "90s", "1h30m" or "7d" | `}},
		{with("tags", []any{}), []string{`tags | min-items | has 0 items, needs at least 1 | `}},
		{with("tags", []any{"a", "B", "c", "d"}), []string{
			`tags | max-items | has 4 items, at most 3 are allowed | `,
			`tags[1] | pattern | "B" does not match the pattern ^[a-z]{1,3}$ | `}},
		{with("labels", map[string]any{"c": 1, "a": 2, "b": "x"}), []string{
			`labels | max-items | has 3 entries, at most 2 are allowed | `,
			`labels.a | type | expected string, got integer | put it in quotes: "2"`,
			`labels.c | type | expected string, got integer | put it in quotes: "1"`}},
		{with("code", "1235"), []string{`code | enum | the value is not one of the allowed values | allowed: 1234, 5678`}},
		{with("page", "shop.test/x"), []string{`page | format | "shop.test/x" is not a URI: it has no scheme | write it as "https://host/path"`}},
		{with("urgent", []any{}), []string{`urgent | type | expected boolean, got list | `}},
		{with("extra", map[string]any{"f": func() {}}), []string{`extra.f | type | flows cannot hold a Go func() | `}},
		{nil, []string{` | type | expected object, got null | leave the field out if there is no value`}},
		{schema.Violation{}, []string{` | required | missing field "to" | to: who gets it`}},
	} {
		before := fmt.Sprint(tt.in)
		_, found := messageType.Coerce(tt.in)
		var got []string
		for _, v := range found {
			got = append(got, fmt.Sprintf("%s | %s | %s | %s", v.Path, v.Rule, v.Message, v.Hint))
			assert.Equal(t, v.Rule == "unknown-field", v.OnKey)
			assert.Equal(t, v.Rule == "utf16-length", v.Warning)
		}
		if _, ok := tt.in.(schema.Violation); ok {
			got = got[:1]
		}
		assert.Equal(t, tt.want, got)
		assert.Equal(t, before, fmt.Sprint(tt.in), "the input was changed")
	}
}

func TestFormats(t *testing.T) {
	for format, texts := range map[string]struct{ good, bad []string }{
		"e164":  {[]string{"+33612345678", "+1234567", "+123456789012345"}, []string{"", "+", "+0612345678", "+123456", "+1234567890123456", "+3361234567x", "+٣٣٦١٢٣٤٥"}},
		"email": {[]string{"a@b.test", "a.b+c@x-y.example.org"}, []string{"", "a", "a@b", "a b@c.test", "a@@b.test", "a@-b.test", "a@b.test\n", "<a@b.test>"}},
		"uri":   {[]string{"https://h/p?q=1#f", "mailto:a@b.test", "urn:x:y", "file:///x"}, []string{"", "h/p", "https://", "https:///x", "http://a b/", "http://%zz", "a:"}},
		"uuid":  {[]string{"123e4567-e89b-12d3-a456-426614174000"}, []string{"", "123e4567e89b12d3a456426614174000", "123e4567-e89b-12d3-a456-42661417400g"}},
	} {
		typ := &schema.Type{Kind: schema.String, Format: format}
		for _, s := range texts.good {
			_, found := typ.Coerce(s)
			assert.Empty(t, found, s)
		}
		for _, s := range texts.bad {
			_, found := typ.Coerce(s)
			require.Len(t, found, 1, "%s %q", format, s)
			assert.Equal(t, "format", found[0].Rule)
		}
	}
}

func TestSensitiveValuesStayOutOfMessages(t *testing.T) {
	typ := &schema.Type{Kind: schema.Object, Open: true, Sensitive: true, Fields: []*schema.Field{
		{Name: "a", Type: &schema.Type{Kind: schema.String, Pattern: "^x$"}},
		{Name: "b", Type: &schema.Type{Kind: schema.String, Format: "e164"}},
		{Name: "c", Type: schema.DurationType}, {Name: "d", Type: schema.TimestampType},
		{Name: "e", Type: schema.StringType}, {Name: "f", Type: &schema.Type{Kind: schema.String, Enum: []any{"hunter3"}}},
		{Name: "g", Type: &schema.Type{Kind: schema.Int, Maximum: new(float64)}}, {Name: "h", Type: schema.IntType},
	}}
	_, found := typ.Coerce(map[string]any{"a": "hunter2", "b": "33687654321", "c": "hunter2", "d": "2031-12-24", "e": 99887766, "f": "hunter2", "g": 99887766, "h": json.Number("99887766e999")})
	require.Len(t, found, 8)
	for _, v := range found {
		for _, secret := range []string{"hunter2", "87654321", "99887766", "2031"} {
			assert.NotContains(t, v.Message+v.Hint, secret)
		}
	}
}

func TestViolationsAreCapped(t *testing.T) {
	items := make([]any, 500)
	for i := range items {
		items[i] = strings.Repeat("🙂", 3)
	}
	items[499] = 1
	_, found := schema.ListOf(&schema.Type{Kind: schema.String, MaxLength: 5}).Coerce(items)
	assert.Len(t, found, 101) // a hundred warnings do not hide the error
	assert.Error(t, found.Err())
	_, found = schema.ListOf(schema.BoolType).Coerce(items)
	assert.Len(t, found, 100)
}

func TestNullIsAbsent(t *testing.T) {
	typ := &schema.Type{Kind: schema.Object, NullIsAbsent: true, Fields: []*schema.Field{
		{Name: "need", Type: schema.StringType, Required: true},
		{Name: "may", Type: schema.BoolType},
		{Name: "default", Type: schema.IntType, Default: int64(7)},
	}}
	in := map[string]any{"need": "x", "may": nil, "default": nil}
	out, found := typ.Coerce(in)
	require.Empty(t, found)
	assert.Equal(t, map[string]any{"need": "x", "default": int64(7)}, out)
	assert.Len(t, in, 3, "what was given is not changed")

	_, found = typ.Coerce(map[string]any{"need": nil})
	assert.EqualError(t, found.Err(), "need: expected string, got null")

	strict := *typ
	strict.NullIsAbsent = false
	_, found = strict.Coerce(in)
	assert.Len(t, found, 2)
}

func TestCoerceCopiesOnlyWhatChanges(t *testing.T) {
	in := with("wait", time.Second, "content", map[string]any{"body": "x", "preview": true}, "nested", []any{map[string]any{"name": "x"}}, "labels", map[string]any{"a": "b"})
	out, found := messageType.Coerce(in)
	require.Empty(t, found)
	out.(map[string]any)["mark"] = true
	assert.Equal(t, true, in["mark"], "a right value was copied")

	in = with("nested", []any{map[string]any{"name": "x"}})
	out, _ = messageType.Coerce(in)
	assert.NotContains(t, in, "wait")
	out.(map[string]any)["nested"].([]any)[0].(map[string]any)["mark"] = true
	assert.Contains(t, in["nested"].([]any)[0], "mark", "a right part was copied")
}

func TestFromText(t *testing.T) {
	for _, tt := range []struct {
		typ  *schema.Type
		in   string
		want any
		err  string
	}{
		{schema.StringType, "007", "007", ""},
		{schema.IntType, "7", int64(7), ""},
		{schema.IntType, "7.5", nil, `expected integer, got "7.5"`},
		{schema.IntType, "99999999999999999999", nil, `"99999999999999999999" is too large for an integer`},
		{schema.NumberType, "7", 7.0, ""},
		{schema.NumberType, "NaN", nil, `expected number, got "NaN"`},
		{schema.NumberType, "-Infinity", nil, `expected number, got "-Infinity"`},
		{schema.NumberType, "1e999", nil, `"1e999" is too large for a number`},
		{schema.BoolType, "yes", nil, `expected true or false, got "yes"`},
		{schema.BoolType, "true", true, ""},
		{schema.DurationType, "7d", 168 * time.Hour, ""},
		{schema.TimestampType, "2030-01-31T09:00:00Z", time.Date(2030, 1, 31, 9, 0, 0, 0, time.UTC), ""},
		{schema.ListOf(schema.IntType), "[1, 2]", []any{int64(1), int64(2)}, ""},
		{schema.ListOf(schema.IntType), "1,2", nil, "expected list of integer, written as JSON: line 1, column 2: unexpected text after the value"},
		{schema.ListOf(schema.IntType), "", nil, "expected list of integer, written as JSON: line 1, column 1: the text ends where a value is expected"},
		{schema.ListOf(schema.IntType), `["a"]`, nil, "[0]: expected integer, got string"},
		{schema.Of[nested](), `{"name": "x"}`, map[string]any{"name": "x"}, ""},
		{schema.AnyType, "salut", "salut", ""},
		{schema.AnyType, "7", int64(7), ""},
		{&schema.Type{Kind: schema.Int, Sensitive: true}, "hunter2", nil, "the value is not a valid integer"},
	} {
		got, err := tt.typ.FromText(tt.in)
		if tt.err != "" {
			assert.EqualError(t, err, tt.err, tt.in)
			continue
		}
		require.NoError(t, err, tt.in)
		assert.Equal(t, tt.want, got)
	}
}

func FuzzCoerce(f *testing.F) {
	for _, seed := range []any{with(), with("kind", 1), with("nested", []any{nil, 1, map[string]any{}}), with("at", "x", "wait", "1.5h"), nil, "x", 1e300} {
		text, err := json.Marshal(seed)
		require.NoError(f, err)
		f.Add(string(text))
	}
	f.Fuzz(func(t *testing.T, text string) {
		d := json.NewDecoder(strings.NewReader(text))
		d.UseNumber()
		var v any
		if d.Decode(&v) != nil {
			return
		}
		got, found := messageType.Coerce(v)
		if found.Err() != nil {
			return
		}
		again, more := messageType.Coerce(got)
		require.Equal(t, got, again)
		require.Equal(t, found, more)
		var m message
		require.NoError(t, schema.Decode(got, &m))
		back, more := messageType.Coerce(schema.JSON(got))
		require.NoError(t, more.Err())
		require.Equal(t, schema.JSON(got), schema.JSON(back))
	})
}

func BenchmarkCoerce(b *testing.B) {
	right := with("wait", time.Second, "content", map[string]any{"body": "x", "preview": true}, "tags", []any{"a", "b"},
		"extra", map[string]any{"a": []any{int64(1), "x", true}}, "nested", []any{map[string]any{"name": "x"}})
	decoded := with("id", 7.0, "content", map[string]any{"body": "x"}, "tags", []any{"a", "b"}, "wait", "90s")
	for name, v := range map[string]any{"right": right, "decoded": decoded} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				messageType.Coerce(v)
			}
		})
	}
}

// BenchmarkCoerceStored is the cost of storing the outputs of a send.
func BenchmarkCoerceStored(b *testing.B) {
	type outputs struct {
		StatusCode int64  `json:"status_code" schema:"required,always"`
		Success    bool   `json:"success" schema:"required,always"`
		MessageID  string `json:"message_id,omitempty" schema:"required"`
		Delivery   string `json:"delivery" schema:"required,always"`
		Repeats    string `json:"repeats,omitempty"`
		Body       any    `json:"body,omitempty" schema:"plain"`
	}
	t := schema.Of[outputs]()
	v := map[string]any{
		"status_code": int64(200), "success": true, "message_id": "wamid.HBgLMzM2MTIzNDU2NzgVAgARGBI5QTNDQTVCM0Q0Q0Q2RTY3RTcA", "delivery": "accepted",
		"body": map[string]any{
			"messaging_product": "whatsapp", "contacts": []any{map[string]any{"input": "+33612345678", "wa_id": "33612345678"}},
			"messages": []any{map[string]any{"id": "wamid.HBgLMzM2MTIzNDU2NzgVAgARGBI5QTNDQTVCM0Q0Q0Q2RTY3RTcA"}},
		},
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, found := t.CoerceStored(v); found != nil {
			b.Fatal(found)
		}
	}
}
