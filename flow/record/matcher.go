package record

import (
	"encoding/json"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"facteur/flow/expr"
	"facteur/flow/schema"
)

// A Matcher says which values of a request match. String returns its compact form, as shown in
// differences.
type Matcher interface {
	String() string
	// compare adds to d how sent, a value as json.Decoder with UseNumber gives it,
	// differs from what was recorded.
	compare(d *differ, sent any)
}

// Compare returns the differences between a plain value and a matcher. The paths begin with
// json.
func Compare(m Matcher, v any) []Difference {
	d := differ{path: []step{{"json", -1}}}
	m.compare(&d, schema.EachLeaf(v, func(v any) any {
		switch v.(type) {
		case int64, float64:
			return number(v)
		}
		return schema.JSON(v)
	}))
	return d.found
}

type (
	anything   struct{}
	literal    struct{ value any } // nil, bool, string or json.Number
	pattern    struct{ re *regexp.Regexp }
	celMatcher struct {
		source  string
		program *expr.Program
	}
	list   struct{ items []Matcher }
	object struct {
		fields []field // keys unique
		more   bool
	}
	field struct {
		key     string
		matcher Matcher
	}
)

func (anything) String() string     { return "{$any: true}" }
func (m *literal) String() string   { return formatJSON(m.value) }
func (m pattern) String() string    { return "{$regex: " + formatJSON(m.re.String()) + "}" }
func (m celMatcher) String() string { return "{$cel: " + formatJSON(m.source) + "}" }

func (m list) String() string {
	texts := make([]string, len(m.items))
	for i, item := range m.items {
		texts[i] = item.String()
	}
	return "[" + strings.Join(texts, ",") + "]"
}

func (m object) String() string {
	texts := make([]string, len(m.fields))
	for i, f := range m.fields {
		texts[i] = formatJSON(f.key) + ":" + f.matcher.String()
	}
	if m.more {
		texts = append(texts, "$more: true")
	}
	return "{" + strings.Join(texts, ",") + "}"
}

func (anything) compare(*differ, any) {}

func (m *literal) compare(d *differ, sent any) {
	equal := false
	switch sent := sent.(type) {
	case json.Number:
		recorded, ok := m.value.(json.Number)
		equal = ok && sameNumber(string(recorded), string(sent))
	case map[string]any, []any:
	default:
		equal = m.value == sent
	}
	if !equal {
		d.different(m, sent)
	}
}

func (m pattern) compare(d *differ, sent any) {
	if text, ok := sent.(string); !ok || !m.re.MatchString(text) {
		d.different(m, sent)
	}
}

func (m celMatcher) compare(d *differ, sent any) {
	v, err := m.program.Eval(expr.Vars{Values: expr.Map{"value": plain(sent)}})
	if err != nil {
		d.add(Difference{Recorded: m.String() + " (" + err.Error() + ")", Sent: formatJSON(sent)}, 1)
	} else if v != true {
		d.different(m, sent)
	}
}

func (m list) compare(d *differ, sent any) {
	items, ok := sent.([]any)
	if !ok {
		d.different(m, sent)
		return
	}
	for i := range max(len(items), len(m.items)) {
		d.enterIndex(i)
		switch {
		case i >= len(m.items):
			d.unexpected(items[i])
		case i >= len(items):
			d.missing(m.items[i])
		default:
			m.items[i].compare(d, items[i])
		}
		d.leave()
		if d.done() {
			return
		}
	}
}

func (m object) compare(d *differ, sent any) {
	values, ok := sent.(map[string]any)
	if !ok {
		d.different(m, sent)
		return
	}
	met := 0
	for _, f := range m.fields {
		v, there := values[f.key]
		if there {
			met++
		}
		d.enter(f.key)
		if !d.volatile() {
			if there {
				f.matcher.compare(d, v)
			} else {
				d.missing(f.matcher)
			}
		}
		d.leave()
		if d.done() {
			return
		}
	}
	if m.more || met == len(values) {
		return
	}
	var extra []string
	for key := range values {
		if !slices.ContainsFunc(m.fields, func(f field) bool { return f.key == key }) {
			extra = append(extra, key)
		}
	}
	slices.Sort(extra)
	for _, key := range extra {
		d.enter(key)
		if !d.volatile() {
			d.unexpected(values[key])
		}
		d.leave()
	}
}

// countScalars counts the scalars of a matcher; an empty list or object counts as one.
func countScalars(m Matcher) int {
	n := 0
	switch m := m.(type) {
	case list:
		for _, item := range m.items {
			n += countScalars(item)
		}
	case object:
		for _, f := range m.fields {
			n += countScalars(f.matcher)
		}
	}
	return max(n, 1)
}

// countSentScalars counts the scalars of a sent value in the same way.
func countSentScalars(v any) int {
	n := 0
	switch v := v.(type) {
	case []any:
		for _, item := range v {
			n += countSentScalars(item)
		}
	case map[string]any:
		for _, item := range v {
			n += countSentScalars(item)
		}
	}
	return max(n, 1)
}

// sameNumber compares JSON numbers by value: integers exactly, others as float64.
func sameNumber(a, b string) bool {
	if a == b {
		return true
	}
	if isInteger(a) && isInteger(b) {
		return zeroSign(a) == zeroSign(b)
	}
	x, errX := strconv.ParseFloat(a, 64)
	y, errY := strconv.ParseFloat(b, 64)
	return errX == nil && errY == nil && x == y
}

func isInteger(s string) bool { return !strings.ContainsAny(s, ".eE") }

func zeroSign(s string) string {
	if s == "-0" {
		return "0"
	}
	return s
}

// plain converts the numbers of a decoded value to int64 and float64, as expressions need
// them.
func plain(v any) any {
	return schema.EachLeaf(v, func(v any) any {
		number, ok := v.(json.Number)
		if !ok {
			return v
		}
		if n, err := number.Int64(); err == nil {
			return n
		}
		f, _ := number.Float64()
		return f
	})
}
