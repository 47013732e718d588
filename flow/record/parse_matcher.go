package record

import (
	"net/http"
	"regexp"
	"slices"
	"strings"

	"facteur/flow"
	"facteur/flow/diag"
	"facteur/flow/expr"
	"facteur/flow/schema"
)

// matcher parses a matcher. With text, scalars are strings as written, because a query has no
// other type.
func (p *parser) matcher(n *flow.Node, text bool) Matcher {
	switch n.Kind {
	case flow.MapNode:
		if m := p.operator(n); m != nil {
			return m
		}
		if text {
			p.requireKind(n, flow.TextNode, "a value here")
			return anything{}
		}
		return p.object(n, text)
	case flow.ListNode:
		m := list{items: make([]Matcher, len(n.Items))}
		for i, item := range n.Items {
			m.items[i] = p.matcher(item, text)
		}
		return m
	case flow.TextNode:
		return &literal{n.Text.Value}
	}
	if text {
		t, _ := p.text(n, "a value here")
		return &literal{t}
	}
	switch n.Kind {
	case flow.IntNode, flow.FloatNode:
		return &literal{number(n.Value)}
	}
	return &literal{n.Value}
}

func (p *parser) object(n *flow.Node, text bool) object {
	m := object{fields: make([]field, 0, len(n.Entries))}
	for _, e := range n.Entries {
		key := e.Key.Value
		switch {
		case key == "$more":
			m.more = p.requireTrue(e)
			continue
		case strings.HasPrefix(key, "$$"):
			key = key[1:]
		case strings.HasPrefix(key, "$"):
			p.unknownMatcher(e.Key)
			continue
		}
		m.fields = append(m.fields, field{key, p.matcher(e.Value, text)})
	}
	return m
}

// operator parses {$any: true}, {$regex: …} and {$cel: …}; nil for any other map.
func (p *parser) operator(n *flow.Node) Matcher {
	at := slices.IndexFunc(n.Entries, func(e flow.Entry) bool {
		return e.Key.Value == "$any" || e.Key.Value == "$regex" || e.Key.Value == "$cel"
	})
	if at < 0 {
		return nil
	}
	e := n.Entries[at]
	for _, other := range n.Entries {
		if other.Key.Value != e.Key.Value {
			p.diags.Errorf("bad-matcher", other.Key.Whole, `if the key really starts with "$", write "$$…"`, "%q is beside %q, which must be alone", other.Key.Value, e.Key.Value)
		}
	}
	switch e.Key.Value {
	case "$any":
		p.requireTrue(e)
	case "$regex":
		source, ok := p.text(e.Value, "$regex")
		if !ok {
			break
		}
		re, err := regexp.Compile(source)
		if err != nil {
			p.diags.Errorf("bad-matcher", e.Value.Range, "patterns use the RE2 syntax, without look-around and back-references", "$regex is not valid: %s", strings.TrimPrefix(err.Error(), "error parsing regexp: "))
			break
		}
		return pattern{re}
	case "$cel":
		if !p.requireKind(e.Value, flow.TextNode, "$cel") {
			break
		}
		scope := expr.NewScope()
		scope.Bind("value", schema.AnyType)
		program, _, _, diags := expr.Condition(e.Value.Text, scope)
		p.diags.Add(diags)
		if program != nil && !diags.HasErrors() {
			return celMatcher{e.Value.Text.Value, program}
		}
	}
	return anything{}
}

// requireTrue reports a value other than true.
func (p *parser) requireTrue(e flow.Entry) bool {
	if e.Value.Kind != flow.BoolNode || e.Value.Value != true {
		p.diags.Errorf("bad-matcher", e.Value.Range, "remove it if it is not true", "%s can only be true", e.Key.Value)
	}
	return true
}

func (p *parser) unknownMatcher(key diag.Text) {
	names := []string{"$any", "$regex", "$cel", "$more"}
	hint := diag.DidYouMean(key.Value, "matchers", names) + `; if the key really starts with "$", write "$` + key.Value + `"`
	p.diags.Errorf("unknown-matcher", key.Whole, hint, "unknown matcher %q", key.Value)
}

// texts parses the map of a query, of headers or of a form.
func (p *parser) texts(n *flow.Node, what string) Matcher {
	if !p.requireKind(n, flow.MapNode, what) {
		return anything{}
	}
	if m := p.operator(n); m != nil {
		return m
	}
	return p.object(n, true)
}

// headers parses a map of headers, which allows other headers.
func (p *parser) headers(n *flow.Node) Matcher {
	m, ok := p.texts(n, "headers").(object)
	if !ok {
		return anything{}
	}
	for i := range m.fields {
		m.fields[i].key = http.CanonicalHeaderKey(m.fields[i].key)
	}
	m.more = true
	return m
}

// scalar parses the matcher of a text body.
func (p *parser) scalar(n *flow.Node, what string) Matcher {
	m := p.matcher(n, true)
	if _, several := m.(list); several {
		p.requireKind(n, flow.TextNode, what)
		return anything{}
	}
	return m
}

// literalOf matches exactly a plain value.
func literalOf(v any) Matcher {
	if items, ok := v.([]any); ok {
		m := list{items: make([]Matcher, len(items))}
		for i, item := range items {
			m.items[i] = literalOf(item)
		}
		return m
	}
	return &literal{v}
}

// oneOrAll returns the values of one name: a single text as such, else a list.
func oneOrAll(values []string) any {
	if len(values) == 1 {
		return values[0]
	}
	items := make([]any, len(values))
	for i, v := range values {
		items[i] = v
	}
	return items
}
