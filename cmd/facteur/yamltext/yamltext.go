// Package yamltext writes values as people write YAML: short values on one line, and quotes only
// where they are needed. The flow language reads the same values back.
package yamltext

import (
	"bytes"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	"facteur/flow/schema"
)

// An Order lists the keys that come first, in this order. Other keys follow, sorted by name.
type Order []string

// Line writes a value on one line.
func (o Order) Line(v any) string {
	switch v := v.(type) {
	case map[string]any:
		parts := make([]string, 0, len(v))
		for _, name := range o.keys(v) {
			parts = append(parts, Scalar(name)+": "+o.Line(v[name]))
		}
		return "{" + strings.Join(parts, ", ") + "}"
	case []any:
		parts := make([]string, len(v))
		for i, item := range v {
			parts[i] = o.Line(item)
		}
		return "[" + strings.Join(parts, ", ") + "]"
	}
	return Scalar(v)
}

const (
	wideItem  = 100 // columns up to which an item of a list stands on one line
	wideValue = 80  // and what stands behind a key
)

// Block writes an object or a list over several indented lines, with short values on one line.
func (o Order) Block(v any, indent string) string {
	var b strings.Builder
	o.block(&b, v, indent, true)
	return b.String()
}

// block writes a value; first says whether to indent the first line.
func (o Order) block(b *strings.Builder, v any, indent string, first bool) {
	writeIndent := func(i int) {
		if i > 0 || first {
			b.WriteString(indent)
		}
	}
	switch v := v.(type) {
	case map[string]any:
		for i, name := range o.keys(v) {
			writeIndent(i)
			b.WriteString(Scalar(name) + ":")
			if text, ok := o.short(v[name], wideValue-len(indent)); ok {
				b.WriteString(" " + text + "\n")
				continue
			}
			b.WriteString("\n")
			o.block(b, v[name], indent+"  ", true)
		}
	case []any:
		for i, item := range v {
			writeIndent(i)
			if text, ok := o.short(item, wideItem-len(indent)); ok {
				b.WriteString("- " + text + "\n")
				continue
			}
			b.WriteString("- ")
			o.block(b, item, indent+"  ", false)
		}
	}
}

// short gives what fits on a line, and every scalar. An expression needs no quotes there.
func (o Order) short(v any, most int) (string, bool) {
	switch v := v.(type) {
	case map[string]any, []any:
		text := o.Line(v)
		return text, len(text) <= most
	case string:
		if expression.MatchString(v) {
			return v, true
		}
	}
	return Scalar(v), true
}

var (
	plain      = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_./-]*( [A-Za-z0-9_./-]+)*$|^[0-9]+(ms|s|m|h|d)([0-9]+(ms|s|m|h))*$`)
	expression = regexp.MustCompile(`^\$\{[a-z_.]+\}$`)
)

// Scalar writes a value that is neither an object nor a list. Texts that are not plain words have
// quotes: they may hold an expression, which needs quotes inside { } and [ ].
func Scalar(v any) string {
	switch v := v.(type) {
	case string:
		switch strings.ToLower(v) {
		case "true", "false", "null", "yes", "no", "on", "off", "y", "n":
		default:
			if plain.MatchString(v) {
				return v
			}
		}
		return quoted(v)
	case time.Time:
		return Scalar(v.UTC().Format(time.RFC3339Nano))
	case time.Duration:
		return schema.FormatDuration(v)
	}
	text, err := schema.AppendJSON(nil, v)
	if err != nil {
		return Scalar(fmt.Sprint(v))
	}
	if _, ok := v.(float64); ok && !bytes.ContainsAny(text, ".e") {
		text = append(text, ".0"...) // else it would be read as an integer
	}
	return string(text)
}

// quoted writes a text as JSON does, without the characters that YAML does not want to see.
func quoted(text string) string {
	var b strings.Builder
	for _, r := range string(schema.AppendText(nil, text)) {
		switch {
		case r >= 0x7f && r < 0xa0, r == '\u2028', r == '\u2029', r == '\ufeff', r == '\ufffe', r == '\uffff':
			fmt.Fprintf(&b, `\u%04x`, r)
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}

func (o Order) keys(object map[string]any) []string {
	keys := slices.Sorted(maps.Keys(object))
	slices.SortStableFunc(keys, func(a, b string) int { return o.place(a) - o.place(b) })
	return keys
}

func (o Order) place(name string) int {
	if i := slices.Index(o, name); i >= 0 {
		return i
	}
	return len(o)
}
