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
	doc     string // what Meta demands, and why
	on      string // message types, "interactive/list" for a kind of them, "" for the input itself; separated by spaces
	at      string // the places in it, "action.sections[].rows[]", "" for all of it; separated by spaces
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
	steps []any // names, and each{} for every element
}

type each struct{}

// rulebook holds the rules by what they are on.
var rulebook = sync.OnceValue(func() map[string][]placed {
	book := map[string][]placed{}
	for _, r := range rules() {
		for _, at := range fieldsOrNone(r.at) {
			p := placed{rule: r, steps: stepsOf(at)}
			for _, on := range fieldsOrNone(r.on) {
				book[on] = append(book[on], p)
			}
		}
	}
	return book
})

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
func (s sender) check(in schema.Value) schema.Violations {
	input, ok := in.Object()
	if !ok {
		return nil
	}
	var found schema.Violations
	found = judge(found, input, nil, "")
	found = s.recipient(found, input["recipient"])
	if _, ok := input["once"]; ok && s.Once == nil {
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

// recipient judges who the message goes to.
func (s sender) recipient(found schema.Violations, v any) schema.Violations {
	text, ok := v.(string)
	if !ok {
		return found
	}
	a := s.book.look(text)
	out := schema.Violation{Path: schema.Path{"recipient"}, Rule: "recipient-format"}
	switch {
	case a.err != nil:
		out.Message, out.Hint = a.err.message, a.err.hint
	case a.doubtful:
		out.Rule, out.Warning = "recipient-doubtful", true
		out.Message = mention(text) + " lies in no range of phone numbers that is known to be in use"
		out.Hint = "check the number; it is sent as it is"
	default:
		return found
	}
	return append(found, out)
}

// judgeMessage runs the rules over the message of an object with a message_type.
func judgeMessage(found schema.Violations, in map[string]any) schema.Violations {
	kind, ok := in["message_type"].(string)
	if !ok {
		return found
	}
	kind = strings.ToLower(kind)
	path := schema.Path{"message"}
	found = judge(found, in["message"], path, kind)
	if message, ok := in["message"].(map[string]any); ok && kind == interactiveType {
		if of, ok := message["type"].(string); ok {
			found = judge(found, message, path, kind+"/"+strings.ToLower(of))
		}
	}
	return found
}

// judge runs the rules that are on something.
func judge(found schema.Violations, in any, prefix schema.Path, on string) schema.Violations {
	book := rulebook()[on]
	if len(book) == 0 {
		return found
	}
	w := walk{found: found, path: append(make(schema.Path, 0, 16), prefix...)}
	w.say = w.report
	for i := range book {
		w.rule = &book[i]
		w.visit(in, book[i].steps)
	}
	return w.found
}

// A walk goes to every place of a rule. It works on the plain value, and makes a cursor
// only where there is something to check: most rules have nothing to say.
type walk struct {
	rule  *placed
	path  schema.Path // to where it is
	found schema.Violations
	watch schema.Watch
	say   report
}

func (w *walk) visit(v any, steps []any) {
	if len(steps) == 0 {
		w.check(v)
		return
	}
	depth := len(w.path)
	switch v := v.(type) {
	case map[string]any:
		name, _ := steps[0].(string)
		if inner, ok := v[name]; ok {
			w.path = append(w.path, steps[0])
			w.visit(inner, steps[1:])
		}
	case []any:
		if steps[0] == any(each{}) {
			for i, inner := range v {
				w.path = append(w.path[:depth], i)
				w.visit(inner, steps[1:])
			}
		}
	}
	w.path = w.path[:depth]
}

func (w *walk) check(v any) {
	w.watch.Unknown = false
	at := schema.NewValue(v, &w.watch)
	if at.IsUnknown() {
		return
	}
	before := len(w.found)
	w.rule.check(at, w.say)
	if w.watch.Unknown {
		w.found = w.found[:before]
	}
}

func (w *walk) report(at schema.Value, format string, args ...any) {
	w.found = append(w.found, schema.Violation{
		Path: slices.Concat(w.path, at.Path()), Rule: w.rule.id, Warning: w.rule.warning, Hint: w.rule.hint,
		Message: fmt.Sprintf(format, args...),
	})
}
