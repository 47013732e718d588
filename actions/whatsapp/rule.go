package whatsapp

import (
	"fmt"
	"slices"
	"strings"
	"sync"

	"facteur/flow/schema"
)

// A rule is something that Meta demands. Its limit goes into the type of a value; what a
// type cannot say is its check. A rule that reads a part which is not known yet says nothing.
type rule struct {
	id      string
	doc     string // what Meta demands, and why
	on      string // message types, "interactive/list" for a kind of them, "body", "read", "" for the input of a send; separated by spaces
	at      string // the places in it, "action.sections[].rows[]", "" for all of it; separated by spaces
	limit   limit
	check   func(v schema.Value, say report)
	warning bool
	hint    string
	source  string // where it is documented or was seen
}

// report says that a place breaks the rule.
type report func(at schema.Value, format string, args ...any)

// rules returns all rules, in the order in which they are read.
func rules() []rule {
	return slices.Concat(inputRules(), envelopeRules(), textRules(), mediaRules(), contactRules(),
		interactiveRules(), buttonRules(), listRules(), flowRules(), productRules(), orderRules(), carouselRules(), templateRules(), parameterRules())
}

type each struct{}

// A spot is a place in a value, with the rules that judge it and the spots below it.
type spot struct {
	rules  []rule
	each   *spot   // every element of a list
	items  []*spot // in place of each, where they differ; nil: nothing
	fields []fieldSpot
}

type fieldSpot struct {
	name string
	step any // the name, in a path
	*spot
}

// rulebook holds the rules with a check as places, by what they are on.
var rulebook = sync.OnceValue(func() map[string]*spot {
	book := map[string]*spot{}
	for _, r := range rules() {
		if r.check == nil {
			continue
		}
		for _, on := range fieldsOrNone(r.on) {
			if book[on] == nil {
				book[on] = &spot{}
			}
			for _, at := range fieldsOrNone(r.at) {
				p := book[on].below(stepsOf(at))
				p.rules = append(p.rules, r)
			}
		}
	}
	return book
})

// below finds or makes the place at the end of some steps.
func (p *spot) below(steps []any) *spot {
	for _, step := range steps {
		next := p.each
		name, isField := step.(string)
		if isField {
			next = nil
			for _, f := range p.fields {
				if f.name == name {
					next = f.spot
				}
			}
		}
		if next == nil {
			next = &spot{}
			if isField {
				p.fields = append(p.fields, fieldSpot{name, name, next})
			} else {
				p.each = next
			}
		}
		p = next
	}
	return p
}

func fieldsOrNone(list string) []string {
	if list == "" {
		return []string{""}
	}
	return strings.Fields(list)
}

func stepsOf(at string) []any {
	var steps []any
	for step := range strings.SplitSeq(at, ".") {
		name, every := strings.CutSuffix(step, "[]")
		if name != "" {
			steps = append(steps, name)
		}
		if every {
			steps = append(steps, each{})
		}
	}
	return steps
}

// check runs the rules over the input of a send.
func (s *sender) check(in schema.Value) schema.Violations {
	input, ok := in.Object()
	if !ok {
		return nil
	}
	w := newWalk(nil)
	w.judge("", input)
	w.found = s.recipient(w.found, input["recipient"])
	kind, _ := input["message_type"].(string)
	w.judgeMessage(kind, input["message"], "message")
	if fallback, ok := input["fallback"].(map[string]any); ok {
		w.judgeMessage(templateType, fallback["message"], "fallback", "message")
	}
	return w.found
}

// recipient judges who the message goes to.
func (s *sender) recipient(found schema.Violations, v any) schema.Violations {
	text, ok := v.(string)
	if !ok {
		return found
	}
	a := s.book.look(text)
	if a.err == nil && !a.doubtful {
		return found
	}
	out := schema.Violation{Path: schema.Path{"recipient"}, Rule: "recipient-format"}
	if a.err != nil {
		out.Message, out.Hint = a.err.message, a.err.hint
		if name := mustache.FindStringSubmatch(text); name != nil {
			out.Hint = "for a value write " + brief(strings.Replace(text, name[0], expression(name[1]), 1))
		}
	} else {
		out.Rule, out.Warning = "recipient-doubtful", true
		out.Message = mention(text) + " lies in no range of phone numbers that is known to be in use"
		out.Hint = "check the number; it is sent as it is"
	}
	return append(found, out)
}

// mostFound bounds what is said about one message.
const mostFound = 200

// A walk goes to every place that has rules. It works on the plain value, and makes a
// cursor only where there is something to check.
type walk struct {
	rule  *rule
	path  schema.Path // to where it is
	found schema.Violations
	watch schema.Tracker
	say   report
	room  [8]any // for the path
}

func newWalk(found schema.Violations) *walk {
	w := &walk{found: found}
	w.say = w.report
	return w
}

// judge runs the rules that are on something, which stands at a path.
func (w *walk) judge(on string, in any, path ...any) {
	if top := rulebook()[on]; top != nil {
		w.path = append(w.room[:0], path...)
		w.visit(in, top)
	}
}

// at runs rules on a part of an input.
func (w *walk) at(input any, p remainder) {
	for _, name := range p.path {
		input = get(input, name.(string))
	}
	w.path = append(w.room[:0], p.path...)
	w.visit(input, p.top)
}

// judgeMessage runs the rules over the object of a message type.
func (w *walk) judgeMessage(kind string, message any, path ...any) {
	kind = strings.ToLower(kind)
	w.judge(kind, message, path...)
	if object, ok := message.(map[string]any); ok && kind == interactiveType {
		if of, ok := object["type"].(string); ok {
			w.judge(kind+"/"+strings.ToLower(of), message, path...)
		}
	}
}

func (w *walk) visit(v any, p *spot) {
	if len(p.rules) > 0 {
		w.check(v, p.rules)
	}
	depth := len(w.path)
	switch v := v.(type) {
	case map[string]any:
		for _, f := range p.fields {
			if inner, ok := v[f.name]; ok {
				w.path = append(w.path[:depth], f.step)
				w.visit(inner, f.spot)
			}
		}
	case []any:
		if p.each == nil && p.items == nil {
			break
		}
		for i, inner := range v {
			item := p.each
			if i < len(p.items) {
				item = p.items[i]
			}
			if item != nil {
				w.path = append(w.path[:depth], i)
				w.visit(inner, item)
			}
		}
	}
	w.path = w.path[:depth]
}

func (w *walk) check(v any, rules []rule) {
	at := schema.NewValue(v, &w.watch)
	for i := range rules {
		w.watch, w.rule = schema.Tracker{}, &rules[i]
		before := len(w.found)
		w.rule.check(at, w.say)
		if w.watch.ReadUnknown {
			w.found = w.found[:before]
		}
	}
}

func (w *walk) report(at schema.Value, format string, args ...any) {
	if len(w.found) >= mostFound {
		return
	}
	w.found = append(w.found, schema.Violation{
		Path: slices.Concat(w.path, at.Path()), Rule: w.rule.id, Warning: w.rule.warning, Hint: w.rule.hint,
		Message: fmt.Sprintf(format, args...),
	})
}
