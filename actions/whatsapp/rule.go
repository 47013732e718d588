package whatsapp

import (
	"fmt"
	"slices"
	"strings"
	"sync"

	"facteur/flow/schema"
)

// A rule is something that Meta demands and that a type cannot say. A rule that reads
// a part which is not known yet says nothing.
type rule struct {
	id      string
	on      string // message types, "interactive/list" for a kind of them, "" for the input itself; separated by spaces
	at      string // the place in it: "action.sections[].rows[]"
	check   func(v schema.Value, say report)
	warning bool
	hint    string
	source  string // where it is documented or was seen
}

// report says that a place breaks the rule.
type report func(at schema.Value, format string, args ...any)

// rules returns all rules, in the order in which they are looked at.
func rules() []rule {
	return slices.Concat(inputRules(), mediaRules(), interactiveRules(), listRules(), carouselRules(), templateRules())
}

// placed is a rule with its place taken apart.
type placed struct {
	rule
	steps []string // "[]" for every element
}

// rulebook holds the rules by what they are on.
var rulebook = sync.OnceValue(func() map[string][]placed {
	book := map[string][]placed{}
	for _, r := range rules() {
		p := placed{rule: r}
		for step := range strings.SplitSeq(r.at, ".") {
			name, each := strings.CutSuffix(step, "[]")
			if name != "" {
				p.steps = append(p.steps, name)
			}
			if each {
				p.steps = append(p.steps, "[]")
			}
		}
		kinds := strings.Fields(r.on)
		if len(kinds) == 0 {
			kinds = []string{""}
		}
		for _, on := range kinds {
			book[on] = append(book[on], p)
		}
	}
	return book
})

// check runs the rules over the input of a send.
func (s sender) check(in schema.Value) schema.Violations {
	input, ok := in.Object()
	if !ok {
		return nil
	}
	var found schema.Violations
	found = judge(found, input, nil, "")
	if s.Once == nil && in.Get("once").Present() {
		found = append(found, schema.Violation{Path: schema.Path{"once"}, Rule: "once-needs-ledger", OnKey: true, Message: noLedger})
	}
	found = judgeMessage(found, input)
	if fallback, ok := input["fallback"].(map[string]any); ok {
		if _, ok := fallback["message_type"]; !ok {
			fallback = map[string]any{"message_type": templateType, "message": fallback["message"]}
		}
		n := len(found)
		found = judgeMessage(found, fallback)
		for i := range found[n:] {
			found[n+i].Path = append(schema.Path{"fallback"}, found[n+i].Path...)
		}
	}
	return found
}

// judgeMessage runs the rules over the message of an object with a message_type.
func judgeMessage(found schema.Violations, in map[string]any) schema.Violations {
	kind, ok := in["message_type"].(string)
	if !ok {
		return found
	}
	kind = strings.ToLower(kind)
	path := []string{"message"}
	found = judge(found, in, path, kind)
	if message, ok := in["message"].(map[string]any); ok && kind == interactiveType {
		if of, ok := message["type"].(string); ok {
			found = judge(found, in, path, kind+"/"+strings.ToLower(of))
		}
	}
	return found
}

// judge runs the rules that are on something.
func judge(found schema.Violations, in map[string]any, path []string, on string) schema.Violations {
	for i := range rulebook()[on] {
		r := &rulebook()[on][i]
		found = r.visit(found, in, nil, path, r.steps)
	}
	return found
}

// visit goes to every place of the rule and checks it there, with a watch of its own.
// done is the way so far, which only counts elements where a step says "[]".
func (r *placed) visit(found schema.Violations, in map[string]any, done []any, path, steps []string) schema.Violations {
	var watch schema.Watch
	v := schema.NewValue(in, &watch)
	walk := func(step any) {
		switch step := step.(type) {
		case string:
			v = v.Get(step)
		case int:
			v = v.Index(step)
		}
	}
	for _, step := range done {
		walk(step)
	}
	for len(path) > 0 || len(steps) > 0 {
		if len(path) == 0 {
			path, steps = steps, nil
		}
		if path[0] == "[]" {
			for i := range v.Items() {
				found = r.visit(found, in, append(slices.Clone(done), i), path[1:], steps)
			}
			return found
		}
		walk(path[0])
		done = append(done, path[0])
		path = path[1:]
	}
	if !v.Present() || v.IsUnknown() || watch.Unknown {
		return found
	}
	n := len(found)
	r.check(v, func(at schema.Value, format string, args ...any) {
		found = append(found, schema.Violation{
			Path: at.Path(), Rule: r.id, Warning: r.warning, Hint: r.hint, Message: fmt.Sprintf(format, args...),
		})
	})
	if watch.Unknown {
		return found[:n]
	}
	return found
}
