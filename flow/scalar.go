package flow

import (
	"math"
	"regexp"
	"strconv"
	"strings"

	"facteur/flow/diag"

	"gopkg.in/yaml.v3"
)

// scalar fills in n from a scalar that starts at an offset.
func (d *document) scalar(n *Node, y *yaml.Node, start int) {
	n.Text = d.locate(y.Value, y.Style, start)
	n.Range = n.Text.Whole
	if !n.Text.Plain {
		n.Kind, n.Value = TextNode, y.Value
		return
	}
	var problem string
	n.Kind, n.Value, problem = resolve(y.Value)
	if problem != "" {
		d.errorf("bad-number", n.Range, "quote it to keep it as text", "%s", problem)
	}
	d.checkComment(n)
}

// resolve returns the kind and value of a plain scalar by the core schema of YAML 1.2.
func resolve(s string) (kind NodeKind, value any, problem string) {
	if isNull(s) {
		return NullNode, nil, ""
	}
	switch s[0] {
	case 't', 'T', 'f', 'F':
		switch s {
		case "true", "True", "TRUE":
			return BoolNode, true, ""
		case "false", "False", "FALSE":
			return BoolNode, false, ""
		}
	case '+', '-', '.', '0', '1', '2', '3', '4', '5', '6', '7', '8', '9':
		return resolveNumber(s)
	}
	return TextNode, s, ""
}

func isNull(s string) bool {
	switch s {
	case "", "~", "null", "Null", "NULL":
		return true
	}
	return false
}

// The forms of a number.
var (
	integer   = regexp.MustCompile(`^([-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+)$`)
	float     = regexp.MustCompile(`^[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?$`)
	nonFinite = regexp.MustCompile(`^([-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN))$`)
)

func resolveNumber(s string) (kind NodeKind, value any, problem string) {
	switch {
	case integer.MatchString(s):
		base, digits := 10, s
		if rest, ok := strings.CutPrefix(s, "0o"); ok {
			base, digits = 8, rest
		} else if rest, ok := strings.CutPrefix(s, "0x"); ok {
			base, digits = 16, rest
		}
		i, err := strconv.ParseInt(digits, base, 64)
		if err != nil {
			return IntNode, int64(0), "the integer " + s + " does not fit in 64 bits"
		}
		return IntNode, i, ""
	case float.MatchString(s):
		f, err := strconv.ParseFloat(s, 64)
		if err != nil {
			return FloatNode, 0.0, "the number " + s + " is too large"
		}
		return FloatNode, f, ""
	case nonFinite.MatchString(s):
		return FloatNode, math.MaxFloat64, "JSON cannot represent the number " + s
	}
	return TextNode, s, ""
}

// locate maps each byte of a decoded scalar to its position in the source.
func (d *document) locate(value string, style yaml.Style, start int) diag.Text {
	t := sourceMapper{textView: d.textView, value: value, pos: start}
	whole := d.at(start, start)
	plain, ok := false, false
	switch style &^ yaml.TaggedStyle {
	case yaml.DoubleQuotedStyle:
		ok = t.quoted('"')
	case yaml.SingleQuotedStyle:
		ok = t.quoted('\'')
	case yaml.LiteralStyle, yaml.FoldedStyle:
		ok = t.block()
	default:
		plain = true
		if strings.HasPrefix(d.text[start:], value) {
			whole.End += len(value)
			return diag.Text{Value: value, Whole: whole, Plain: true}
		}
		ok = t.plain()
	}
	whole.End = max(start, t.pos)
	if !ok {
		// yaml.v3 decoded it differently: only the range of the whole is known.
		return diag.Generated(value, whole)
	}
	text := diag.NewText(value, whole, t.segments...)
	text.Plain = plain
	return text
}
