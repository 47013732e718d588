package flow

import (
	"regexp"
	"slices"
	"strings"
	"time"

	"facteur/flow/diag"
	"facteur/flow/schema"
)

// An object reads the keys of one map of the language.
type object struct {
	p    *parser
	node *Node
	what string // for messages, with an article, e.g. "a step"
}

// object returns a reader of the map n, and reports unknown keys; ok is false if n is not a
// map.
func (p *parser) object(n *Node, what string, known ...string) (o object, ok bool) {
	o = object{p, n, what}
	if n.Kind != MapNode {
		p.wrongKind(n, what, "a map of keys and values", "the keys are: "+strings.Join(known, ", "))
		return o, false
	}
	o.node = p.recoverIndent(n, known)
	for _, e := range o.node.Entries {
		if !slices.Contains(known, e.Key.Value) {
			hint := diag.DidYouMean(e.Key.Value, "keys", known)
			if name := intendedKey(e.Key.Value, known); name != "" && name != diag.Suggest(e.Key.Value, known) {
				hint = "write " + name + ":"
			}
			p.errorf("unknown-key", e.Key.Whole, hint, "%s has no key %q", what, e.Key.Value)
			p.diags[len(p.diags)-1].Hidden = diag.NamesSecret(e.Key.Value)
		}
	}
	o.node = o.node.renameKeys(known, intendedKey)
	return o, true
}

// wrongKind reports a value of the wrong kind.
func (p *parser) wrongKind(n *Node, what, want, hint string) {
	if n.Kind == NullNode && n.Text.Value == "" {
		p.errorf("wrong-kind", n.Range, hint, "%s has no value; it must be %s", what, want)
		return
	}
	p.errorf("wrong-kind", n.Head(), hint, "%s must be %s, not %s", what, want, n.Kind.Noun())
}

// entry returns the entry of a key, or nil.
func (o object) entry(key string) *Entry { return o.node.Entry(key) }

// get returns the value of a key, or nil.
func (o object) get(key string) *Node { return o.node.Get(key) }

// require reports keys that are missing.
func (o object) require(keys ...string) {
	for _, key := range keys {
		if o.get(key) == nil {
			o.p.errorf("missing-key", o.node.Head(), missingKeyHint(key), "%s needs the key %q", o.what, key)
		}
	}
}

// missingKeyHint shows how to write a missing key.
func missingKeyHint(key string) string {
	switch key {
	case "as":
		return "write as: with a name, such as as: person; the steps then read ${person}"
	case "event":
		return "write event: whatsapp.message or event: webhook"
	case "type":
		return "write a type, such as type: string"
	case "path":
		return "write a path, such as path: /orders"
	case "cron":
		return `write a schedule, such as cron: "30 9 * * mon-fri"`
	case "state":
		return "write state: sent, delivered or read"
	case "steps":
		return "write steps: and a list below it, each step with a dash: - id: …"
	case "code":
		return "write a code, such as code: out_of_stock"
	}
	return ""
}

// name formats a key for a message.
func (o object) name(key string) string { return "`" + key + "`" }

// text returns the text of a scalar; nil if it is missing or not a scalar.
func (o object) text(key string) *diag.Text {
	n := o.get(key)
	if n == nil {
		return nil
	}
	if !n.isScalar() {
		o.p.wrongKind(n, o.name(key), "text", "")
		return nil
	}
	return &n.Text
}

// isScalar reports whether n is a scalar other than null.
func (n *Node) isScalar() bool {
	return n.Kind != NullNode && n.Kind != ListNode && n.Kind != MapNode
}

// literal is text without expressions.
func (o object) literal(key string) *diag.Text {
	t := o.text(key)
	if t == nil || !o.p.requireLiteral(*t, o.name(key)) {
		return nil
	}
	return t
}

// requireLiteral reports a text that has an expression where none is allowed.
func (p *parser) requireLiteral(t diag.Text, what string) bool {
	i := expressionAt(t.Value)
	if i >= 0 {
		p.errorf("literal-only", t.Range(i, i+2), "write the value itself", "%s must be a literal value, not an expression", what)
	}
	return i < 0
}

// expressionAt returns the offset of the first ${ in a text, -1 if there is none. $${ is
// literal text.
func expressionAt(s string) int {
	return strings.Index(strings.ReplaceAll(s, "$${", "---"), "${")
}

// description returns the description for people.
func (o object) description() string {
	if t := o.text("description"); t != nil {
		return t.Value
	}
	return ""
}

// value returns a value that may be an expression and is not null.
func (o object) value(key string) *Node {
	n := o.get(key)
	if n != nil && n.Kind == NullNode {
		o.p.wrongKind(n, o.name(key), "a value", "")
		return nil
	}
	return n
}

// scalar returns a scalar that may be an expression.
func (o object) scalar(key string) *Node {
	if o.text(key) == nil {
		return nil
	}
	return o.get(key)
}

func (o object) boolean(key string) bool {
	n := o.get(key)
	if n == nil {
		return false
	}
	b, ok := n.Value.(bool)
	if !ok {
		hint := ""
		switch strings.ToLower(n.Text.Value) {
		case "yes", "on":
			hint = "write true"
		case "no", "off":
			hint = "write false"
		}
		o.p.wrongKind(n, o.name(key), "true or false", hint)
	}
	return b
}

// integer returns a literal from least to most, or fallback.
func (o object) integer(key string, fallback, least, most int) int {
	n := o.get(key)
	if n == nil {
		return fallback
	}
	i, ok := n.Value.(int64)
	switch {
	case !ok:
		o.p.wrongKind(n, o.name(key), "an integer", "")
	case i < int64(least) || i > int64(most):
		o.p.errorf("bad-number", n.Range, "", "%s must be from %d to %d", o.name(key), least, most)
	default:
		return int(i)
	}
	return fallback
}

// number returns a literal number.
func (n *Node) number() (f float64, ok bool) {
	switch v := n.Value.(type) {
	case int64:
		return float64(v), true
	case float64:
		return v, true
	}
	return 0, false
}

// duration returns a positive literal duration; nil without one.
func (o object) duration(key string) *Duration {
	n := o.get(key)
	if n == nil {
		return nil
	}
	const example = "such as 20s"
	bad := func(hint, format string, args ...any) *Duration {
		o.p.errorf("bad-duration", n.Head(), hint, o.name(key)+" "+format, args...)
		return nil
	}
	switch {
	case n.Kind == IntNode || n.Kind == FloatNode:
		return bad("write "+n.Text.Value+"s for seconds; the units are ms, s, m, h, d", "must be a duration with a unit")
	case n.Kind != TextNode:
		o.p.wrongKind(n, o.name(key), "a literal duration "+example, "")
		return nil
	case expressionAt(n.Text.Value) >= 0:
		return bad("", "must be a literal duration %s, not an expression", example)
	}
	value, err := schema.ParseDuration(n.Text.Value)
	switch {
	case err != nil:
		return bad("", "must be a literal duration %s: %s", example, err)
	case value <= 0:
		return bad("", "must be longer than zero")
	}
	return &Duration{Value: value, Range: n.Range}
}

// durationOr returns a literal duration, or fallback.
func (o object) durationOr(key string, fallback time.Duration) time.Duration {
	if d := o.duration(key); d != nil {
		return d.Value
	}
	return fallback
}

// choice returns one of the options; the first is the default.
func (o object) choice(key string, options ...string) string {
	t := o.literal(key)
	if t == nil {
		return options[0]
	}
	if !slices.Contains(options, t.Value) {
		o.p.errorf("bad-value", t.Whole, diag.DidYouMean(t.Value, "values", options),
			"%s cannot be %q", o.name(key), t.Value)
		return options[0]
	}
	return t.Value
}

// condition returns bare CEL.
func (o object) condition(key string) *diag.Text {
	t := o.text(key)
	if t == nil {
		return nil
	}
	trimmed := strings.TrimSpace(t.Value)
	if trimmed == "" {
		o.p.wrongKind(o.get(key), o.name(key), "a condition", "")
		return nil
	}
	if strings.HasPrefix(trimmed, "${") {
		start := strings.Index(t.Value, "${")
		if end := closing(trimmed); end == len(trimmed)-1 { // other forms are reported by its compiler
			inside := t.Cut(start+2, start+end)
			o.p.errorf("braced-condition", t.Range(start, start+2), "remove the braces: "+key+": "+strings.TrimSpace(inside.Value),
				"%s is an expression already: it must not have ${ }", o.name(key))
			return &inside
		}
	}
	return t
}

// closing returns the offset of the brace that closes the expression at the beginning of s, or
// -1.
func closing(s string) int {
	depth := 0
	for i := 1; i < len(s); i++ {
		switch s[i] {
		case '{':
			depth++
		case '}':
			if depth--; depth == 0 {
				return i
			}
		case '"', '\'':
			quote := s[i]
			for i++; i < len(s) && s[i] != quote; i++ {
				if s[i] == '\\' {
					i++
				}
			}
		}
	}
	return -1
}

// connection returns the name of a connection.
func (o object) connection() *diag.Text {
	t := o.literal("connection")
	if t == nil {
		return nil
	}
	switch {
	case len(t.Value) > 64:
		o.p.errorf("bad-connection", t.Whole, `keep the secret in the vault: "facteur vault set"`,
			"the name of a connection has at most 64 characters; this looks like a secret")
	case !connectionName.MatchString(t.Value):
		o.p.errorf("bad-connection", t.Whole, "names start with a letter and contain only letters, digits, _ . -",
			"%q cannot be the name of a connection", t.Value)
	}
	return t
}

var connectionName = regexp.MustCompile(`^[a-zA-Z][a-zA-Z0-9_.-]*$`)

// bindings returns the values of a map whose keys are ids.
func (o object) bindings(key, what string) []Binding {
	n := o.get(key)
	if n == nil {
		return nil
	}
	if n.Kind != MapNode {
		o.p.wrongKind(n, o.name(key), "a map of names and values", "")
		return nil
	}
	list := make([]Binding, 0, len(n.Entries))
	for _, e := range n.Entries {
		o.p.checkID(e.Key, "the name of "+what)
		list = append(list, Binding{Name: e.Key, Value: e.Value})
	}
	return list
}
