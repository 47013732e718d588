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

// matcher reads what a value must look like. With text, scalars are texts as they
// are written: a query knows nothing else.
func (p *parser) matcher(n *flow.Node, text bool) Matcher {
	switch n.Kind {
	case flow.MapNode:
		if m := p.special(n); m != nil {
			return m
		}
		if text {
			p.is(n, flow.TextNode, "a value here")
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
			m.more = p.true(e)
			continue
		case strings.HasPrefix(key, "$$"):
			key = key[1:]
		case strings.HasPrefix(key, "$"):
			p.badKey(e.Key)
			continue
		}
		m.fields = append(m.fields, field{key, p.matcher(e.Value, text)})
	}
	return m
}

// special reads {$any: true}, {$regex: …} and {$cel: …}; nil for any other map.
func (p *parser) special(n *flow.Node) Matcher {
	at := slices.IndexFunc(n.Entries, func(e flow.Entry) bool {
		return e.Key.Value == "$any" || e.Key.Value == "$regex" || e.Key.Value == "$cel"
	})
	if at < 0 {
		return nil
	}
	e := n.Entries[at]
	for _, other := range n.Entries {
		if other.Key.Value != e.Key.Value {
			p.diags.Errorf("bad-matcher", other.Key.Whole, `a key that really begins with "$" is written "$$…"`, "%q stands beside %q, which must be alone", other.Key.Value, e.Key.Value)
		}
	}
	switch e.Key.Value {
	case "$any":
		p.true(e)
	case "$regex":
		source, ok := p.text(e.Value, "$regex")
		if !ok {
			break
		}
		re, err := regexp.Compile(source)
		if err != nil {
			p.diags.Errorf("bad-matcher", e.Value.Range, "the syntax is RE2's", "$regex cannot be read: %s", strings.TrimPrefix(err.Error(), "error parsing regexp: "))
			break
		}
		return pattern{re}
	case "$cel":
		if !p.is(e.Value, flow.TextNode, "$cel") {
			break
		}
		scope := expr.NewScope()
		scope.Bind("value", schema.AnyType)
		program, _, _, diags := expr.Condition(e.Value.Text, scope)
		p.diags.Add(diags)
		if program != nil && !diags.HasErrors() {
			return formula{e.Value.Text.Value, program}
		}
	}
	return anything{}
}

// true wants the value of a matcher to be true.
func (p *parser) true(e flow.Entry) bool {
	if e.Value.Kind != flow.BoolNode || e.Value.Value != true {
		p.diags.Errorf("bad-matcher", e.Value.Range, "leave it out where it does not hold", "%s can only be true", e.Key.Value)
	}
	return true
}

func (p *parser) badKey(key diag.Text) {
	names := []string{"$any", "$regex", "$cel", "$more"}
	hint := diag.DidYouMean(key.Value, "matchers", names) + `; a key that really begins with "$" is written "$` + key.Value + `"`
	p.diags.Errorf("unknown-matcher", key.Whole, hint, "unknown matcher %q", key.Value)
}

// texts reads the map of a query, of headers or of a form.
func (p *parser) texts(n *flow.Node, what string) Matcher {
	if !p.is(n, flow.MapNode, what) {
		return anything{}
	}
	if m := p.special(n); m != nil {
		return m
	}
	return p.object(n, true)
}

// headers reads a map of headers, which matches further ones, too.
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

// scalar reads the matcher of a whole text.
func (p *parser) scalar(n *flow.Node, what string) Matcher {
	m := p.matcher(n, true)
	if _, several := m.(list); several {
		p.is(n, flow.TextNode, what)
		return anything{}
	}
	return m
}

// exactly matches a plain value and nothing else.
func exactly(v any) Matcher {
	if items, ok := v.([]any); ok {
		m := list{items: make([]Matcher, len(items))}
		for i, item := range items {
			m.items[i] = exactly(item)
		}
		return m
	}
	return &literal{v}
}

// textsOf gives the values of one name: the text itself where there is one.
func textsOf(values []string) any {
	if len(values) == 1 {
		return values[0]
	}
	items := make([]any, len(values))
	for i, v := range values {
		items[i] = v
	}
	return items
}
