package flow

import (
	"math"
	"regexp"
	"slices"
	"strings"

	"facteur/flow/diag"
	"facteur/flow/schema"
)

// The keywords of JSON Schema, by the types that have them.
var (
	typeNames      = []string{"array", "boolean", "integer", "number", "object", "string"}
	formats        = []string{"date-time", "duration", "e164", "email", "uri", "uuid"}
	commonKeywords = []string{"type", "description", "enum", "default", "sensitive"}
	stringKeywords = []string{"format", "pattern", "minLength", "maxLength"}
	numberKeywords = []string{"minimum", "maximum"}
	arrayKeywords  = []string{"items", "minItems", "maxItems"}
	objectKeywords = []string{"properties", "required", "additionalProperties"}
)

func keywordsOf(typeName string) []string {
	switch typeName {
	case "string":
		return stringKeywords
	case "integer", "number":
		return numberKeywords
	case "array":
		return arrayKeywords
	case "object":
		return objectKeywords
	}
	return nil
}

func (p *parser) inputs(n *Node) []*Input {
	if n == nil {
		return nil
	}
	if n.Kind != MapNode {
		p.wrongKind(n, "`inputs`", "a map of names and types", "write name: {type: string}")
		return nil
	}
	inputs := make([]*Input, 0, len(n.Entries))
	for _, e := range n.Entries {
		p.checkID(e.Key, "the name of an input")
		inputs = append(inputs, &Input{Name: e.Key, Field: p.field(e)})
	}
	return inputs
}

// field parses the declaration of an input or a property, and its default.
func (p *parser) field(e Entry) *schema.Field {
	t, value := p.schemaType(e.Value, "`"+e.Key.Value+"`")
	field := &schema.Field{Name: e.Key.Value, Type: t, Doc: t.Doc, Required: value == nil}
	if value != nil {
		if field.Default = p.coerceLiteral(value, t, "bad-default", "the default"); field.Default == nil {
			field.Default = t.Zero() // an input with an invalid default is not reported again
		}
	}
	return field
}

// coerceLiteral coerces a literal value, and reports violations at their places.
func (p *parser) coerceLiteral(n *Node, t *schema.Type, code, what string) any {
	if !p.requireLiterals(n, what) {
		return nil
	}
	v, found := n.Coerce(t)
	for _, d := range found {
		d.Code, d.Message = code, what+" is not valid: "+d.Message
		p.diags.Add(diag.List{d})
	}
	if found.HasErrors() {
		return nil
	}
	return v
}

// requireLiterals reports the expressions in a value.
func (p *parser) requireLiterals(n *Node, what string) bool {
	ok := true
	switch n.Kind {
	case TextNode:
		return p.requireLiteral(n.Text, what)
	case ListNode:
		for _, item := range n.Items {
			ok = p.requireLiterals(item, what) && ok
		}
	case MapNode:
		for _, e := range n.Entries {
			ok = p.requireLiterals(e.Value, what) && ok
		}
	}
	return ok
}

// rangeAt returns the range of a part of the value, or of the closest enclosing part that
// exists.
func (n *Node) rangeAt(path schema.Path, onKey bool) diag.Range {
	at := n.Head()
	for i, step := range path {
		var next *Node
		switch step := step.(type) {
		case int:
			if step < len(n.Items) {
				next = n.Items[step]
			}
		case string:
			if e := n.Entry(step); e != nil && onKey && i == len(path)-1 {
				return e.Key.Whole
			} else if e != nil {
				next = e.Value
			}
		}
		if next == nil {
			return at
		}
		n = next
		at = n.Head()
	}
	return at
}

// equivalentType returns the type that has this name in other languages.
func equivalentType(name string) string {
	switch strings.ToLower(name) {
	case "int", "long":
		return "integer"
	case "float", "double", "decimal":
		return "number"
	case "bool":
		return "boolean"
	case "str", "text":
		return "string"
	case "list", "tuple":
		return "array"
	case "map", "dict", "json":
		return "object"
	case "date", "datetime", "date-time", "timestamp", "time":
		return "string, format: date-time"
	case "phone", "tel", "phone_number", "e164":
		return "string, format: e164"
	case "email", "uri", "uuid", "duration":
		return "string, format: " + strings.ToLower(name)
	case "url":
		return "string, format: uri"
	}
	return ""
}

func formatHint(name string) string {
	if _, format, ok := strings.Cut(equivalentType(name), "format: "); ok {
		return "write format: " + format
	}
	return diag.DidYouMean(name, "formats", formats)
}

// schemaType parses a type written in JSON Schema, and returns its default separately. Invalid
// types become any.
func (p *parser) schemaType(n *Node, what string) (t *schema.Type, value *Node) {
	t = &schema.Type{}
	if n.Kind != MapNode {
		hint := "write {type: string}"
		if slices.Contains(typeNames, n.Text.Value) {
			hint = "write {type: " + n.Text.Value + "}"
		}
		p.wrongKind(n, what, "a type", hint)
		return t, nil
	}
	o := object{p, n, what}
	o.require("type")
	name := ""
	if word := o.literal("type"); word != nil {
		if name = word.Value; !slices.Contains(typeNames, name) {
			hint := diag.DidYouMean(name, "types", typeNames)
			if equivalent := equivalentType(name); equivalent != "" {
				hint = "write type: " + equivalent
			}
			p.errorf("bad-value", word.Whole, hint, "there is no type %q", name)
			name = ""
		}
	}
	p.checkKeywords(o, name)

	t.Doc = o.description()
	t.Sensitive = o.boolean("sensitive")
	value = o.get("default")
	switch name {
	case "string":
		p.stringType(o, t)
	case "integer", "number":
		t.Kind = schema.Int
		if name == "number" {
			t.Kind = schema.Number
		}
		t.Minimum, t.Maximum = o.bound("minimum"), o.bound("maximum")
		if t.Minimum != nil && t.Maximum != nil && *t.Minimum > *t.Maximum {
			p.errorf("bad-number", o.get("maximum").Range, "", "`maximum` is less than `minimum`")
			t.Maximum = nil
		}
	case "boolean":
		t.Kind = schema.Bool
	case "array":
		t.Kind, t.Elem = schema.List, schema.AnyType
		if items := o.get("items"); items != nil {
			t.Elem, _ = p.schemaType(items, "`items`")
		}
		t.MinItems, t.MaxItems = o.bounds("minItems", "maxItems")
	case "object":
		p.objectType(o, t)
	}
	if enum := o.get("enum"); enum != nil {
		p.enum(enum, t)
	}
	return t, value
}

// checkKeywords reports keywords that a type does not have.
func (p *parser) checkKeywords(o object, name string) {
	for _, e := range o.node.Entries {
		word := e.Key.Value
		if slices.Contains(commonKeywords, word) || slices.Contains(keywordsOf(name), word) {
			continue
		}
		known, owner := slices.Clone(commonKeywords), ""
		for _, t := range typeNames {
			if slices.Contains(keywordsOf(t), word) {
				owner = t
			}
			if t == name || name == "" {
				known = append(known, keywordsOf(t)...)
			}
		}
		switch {
		case owner == "":
			slices.Sort(known)
			p.errorf("unknown-key", e.Key.Whole, diag.DidYouMean(word, "keys", slices.Compact(known)), "%s has no key %q", o.what, word)
		case name != "":
			hint := "it belongs to the type " + owner
			if word == "required" {
				hint = "remove it: an input without a default is always required; only an object lists its required properties"
			}
			p.errorf("misplaced-key", e.Key.Whole, hint, "the type %s has no key %q", name, word)
		}
	}
}

func (p *parser) stringType(o object, t *schema.Type) {
	t.Kind = schema.String
	if format := o.literal("format"); format != nil {
		switch format.Value {
		case "date-time":
			t.Kind = schema.Timestamp
		case "duration":
			t.Kind = schema.Duration
		default:
			if slices.Contains(formats, format.Value) {
				t.Format = format.Value
			} else {
				p.errorf("bad-value", format.Whole, formatHint(format.Value), "there is no format %q", format.Value)
			}
		}
	}
	if pattern := o.text("pattern"); pattern != nil {
		if _, err := regexp.Compile(pattern.Value); err != nil {
			p.errorf("bad-pattern", pattern.Whole, "patterns use the RE2 syntax, without look-around and back-references",
				"the pattern is not valid: %s", strings.TrimPrefix(err.Error(), "error parsing regexp: "))
		} else {
			t.Pattern = pattern.Value
		}
	}
	t.MinLength, t.MaxLength = o.bounds("minLength", "maxLength")
	for _, word := range []string{"pattern", "minLength", "maxLength"} {
		if e := o.entry(word); e != nil && t.Kind != schema.String {
			p.errorf("misplaced-key", e.Key.Whole, "", "a %s has no key %q", t.Kind, word)
		}
	}
}

// bound returns a literal number.
func (o object) bound(key string) *float64 {
	n := o.get(key)
	if n == nil {
		return nil
	}
	f, ok := n.number()
	if !ok {
		o.p.wrongKind(n, o.name(key), "a number", "")
		return nil
	}
	return &f
}

// bounds returns two literal sizes, 0 for a missing one.
func (o object) bounds(least, most string) (low, high int) {
	low = o.integer(least, 0, 0, math.MaxInt32)
	high = o.integer(most, 0, 1, math.MaxInt32)
	if high > 0 && low > high {
		o.p.errorf("bad-number", o.get(most).Range, "", "`%s` is less than `%s`", most, least)
		high = 0
	}
	return low, high
}

// objectType parses the properties of an object. With properties it is closed unless
// additionalProperties is true; without it is a map.
func (p *parser) objectType(o object, t *schema.Type) {
	t.Kind, t.NullIsAbsent = schema.Object, true
	more := o.get("additionalProperties")
	n := o.get("properties")
	if n == nil {
		t.Kind, t.Elem = schema.Map, schema.AnyType
		if more != nil && more.Kind != BoolNode {
			t.Elem, _ = p.schemaType(more, "`additionalProperties`")
		}
		if e := o.entry("required"); e != nil {
			p.errorf("misplaced-key", e.Key.Whole, "add `properties`: `required` says which of them must be given", "`required` needs `properties`")
		}
		return
	}
	if more != nil {
		t.Open = o.boolean("additionalProperties")
	}
	if n.Kind != MapNode {
		p.wrongKind(n, "`properties`", "a map of names and types", "")
		return
	}
	for _, e := range n.Entries {
		field := p.field(e)
		field.Required = false
		t.Fields = append(t.Fields, field)
	}
	required := o.get("required")
	if required == nil {
		return
	}
	if required.Kind != ListNode {
		p.wrongKind(required, "`required`", "a list of property names", "")
		return
	}
	for _, item := range required.Items {
		if field := t.Field(item.Text.Value); field != nil && item.isScalar() {
			field.Required = field.Default == nil
		} else {
			p.errorf("bad-value", item.Head(), diag.DidYouMean(item.Text.Value, "properties", t.Names()),
				"`required` names %q, which is not among the properties", item.Text.Value)
			if field := t.Field(diag.Suggest(item.Text.Value, t.Names())); field != nil {
				field.Required = field.Default == nil
			}
		}
	}
}

// enum fills in the allowed values of a type.
func (p *parser) enum(n *Node, t *schema.Type) {
	if n.Kind != ListNode {
		p.wrongKind(n, "`enum`", "a list of values", "")
		return
	}
	if len(n.Items) == 0 {
		p.errorf("empty-list", n.Range, "", "`enum` has no values")
	}
	var allowed []any // set at the end, so that values do not restrict those after them
	for _, item := range n.Items {
		if v := p.coerceLiteral(item, t, "bad-value", "the value"); v != nil {
			allowed = append(allowed, v)
		}
	}
	t.Enum = allowed
}
