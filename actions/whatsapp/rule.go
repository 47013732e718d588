package whatsapp

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"sync"

	"facteur/flow/schema"
)

// A rule is one demand of Meta's. What a schema can express is its limit, which becomes part
// of the schema; anything else is its check. Findings of a check that reads a value which is
// not known before the run are dropped.
type rule struct {
	id      string
	doc     string // what Meta demands, and why
	on      string // message types, "interactive/list" for a kind of them, "body", "read", "" for the input of a send; separated by spaces
	at      string // the places in it, "action.sections[].rows[]", "" for all of it; separated by spaces
	limit   limit
	check   func(v schema.Value, report reporter)
	warning bool
	hint    string
	source  string // where it is documented or was seen
}

// A reporter reports that a value breaks the rule being checked.
type reporter func(at schema.Value, format string, args ...any)

// rules returns all rules with a limit or a check, in the order of their documentation.
func rules() []rule {
	return slices.Concat(inputRules(), envelopeRules(), textRules(), mediaRules(), contactRules(),
		interactiveRules(), buttonRules(), listRules(), flowRules(), productRules(), orderRules(), carouselRules(), templateRules(), parameterRules())
}

// anyIndex is the step of a path that stands for every element of a list.
type anyIndex struct{}

// A ruleNode is a node of a tree that has the form of the checked value: the rules on this
// part of the value, and the nodes of the parts below it.
type ruleNode struct {
	rules  []rule
	elem   *ruleNode   // for every element of a list
	items  []*ruleNode // for single elements, in place of elem; nil: no rules
	fields []fieldNode
}

type fieldNode struct {
	name string
	key  any // name as a step of a path, converted once
	*ruleNode
}

// ruleTree returns the rules with a check as trees, by what they are on.
var ruleTree = sync.OnceValue(func() map[string]*ruleNode {
	trees := map[string]*ruleNode{}
	for _, r := range rules() {
		if r.check == nil {
			continue
		}
		for _, on := range splitWords(r.on) {
			if trees[on] == nil {
				trees[on] = &ruleNode{}
			}
			for _, at := range splitWords(r.at) {
				p := trees[on].child(parsePath(at))
				p.rules = append(p.rules, r)
			}
		}
	}
	return trees
})

// child returns the node at the end of a path, which it makes where there is none.
func (p *ruleNode) child(steps []any) *ruleNode {
	for _, step := range steps {
		if step == any(anyIndex{}) {
			p.elem = cmp.Or(p.elem, &ruleNode{})
			p = p.elem
			continue
		}
		i := slices.IndexFunc(p.fields, func(f fieldNode) bool { return f.key == step })
		if i < 0 {
			i = len(p.fields)
			p.fields = append(p.fields, fieldNode{step.(string), step, &ruleNode{}})
		}
		p = p.fields[i].ruleNode
	}
	return p
}

// splitWords is strings.Fields, except that an empty list has one word, "".
func splitWords(list string) []string {
	if list == "" {
		return []string{""}
	}
	return strings.Fields(list)
}

// parsePath splits the path of a rule, e.g. "action.sections[].rows", into field names and
// anyIndex.
func parsePath(at string) []any {
	var steps []any
	for step := range strings.SplitSeq(at, ".") {
		name, every := strings.CutSuffix(step, "[]")
		if name != "" {
			steps = append(steps, name)
		}
		if every {
			steps = append(steps, anyIndex{})
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
	w := newWalker(nil)
	w.checkRules("", input)
	w.found = s.checkRecipient(w.found, input["recipient"])
	kind, _ := input["message_type"].(string)
	w.checkMessage(kind, input["message"], "message")
	if fallback, ok := input["fallback"].(map[string]any); ok {
		w.checkMessage(templateType, fallback["message"], "fallback", "message")
	}
	return w.found
}

// checkRecipient checks the recipient as the send will parse it.
func (s *sender) checkRecipient(found schema.Violations, v any) schema.Violations {
	text, ok := v.(string)
	if !ok {
		return found
	}
	a := s.recipients.parse(text)
	if a.err == nil && !a.doubtful {
		return found
	}
	out := schema.Violation{Path: schema.Path{"recipient"}, Rule: "recipient-format"}
	if a.err != nil {
		out.Message, out.Hint = a.err.message, a.err.hint
		if name := placeholder.FindStringSubmatch(text); name != nil {
			out.Hint = "to insert a value, write " + brief(strings.Replace(text, name[0], expression(name[1]), 1))
		}
	} else {
		out.Rule, out.Warning = "recipient-doubtful", true
		out.Message = mention(text) + " is not in a range of phone numbers known to be in use"
		out.Hint = "check the number; it is sent unchanged"
	}
	return append(found, out)
}

// maxViolations bounds the findings about one message.
const maxViolations = 200

// A walker visits every part of a value that has rules, and collects what they find. It
// walks the plain value and makes a schema.Value only where a rule needs one.
type walker struct {
	rule    *rule       // the one that is being checked
	path    schema.Path // of the part that is being visited
	found   schema.Violations
	tracker schema.Tracker
	report  reporter // w.add, bound once
	pathBuf [8]any   // the initial array of path
}

func newWalker(found schema.Violations) *walker {
	w := &walker{found: found}
	w.report = w.add
	return w
}

// checkRules runs the rules that are on a message type, a kind or a body. path is where in
// stands in the whole input.
func (w *walker) checkRules(on string, in any, path ...any) {
	if top := ruleTree()[on]; top != nil {
		w.path = append(w.pathBuf[:0], path...)
		w.visit(in, top)
	}
}

// checkResidual runs residual rules on their part of an input.
func (w *walker) checkResidual(input any, p residual) {
	for _, name := range p.path {
		input = get(input, name.(string))
	}
	w.path = append(w.pathBuf[:0], p.path...)
	w.visit(input, p.rules)
}

// checkMessage runs the rules of a message type, and of its kind if it is interactive.
func (w *walker) checkMessage(kind string, message any, path ...any) {
	kind = strings.ToLower(kind)
	w.checkRules(kind, message, path...)
	if object, ok := message.(map[string]any); ok && kind == interactiveType {
		if of, ok := object["type"].(string); ok {
			w.checkRules(kind+"/"+strings.ToLower(of), message, path...)
		}
	}
}

func (w *walker) visit(v any, p *ruleNode) {
	if len(p.rules) > 0 {
		w.apply(v, p.rules)
	}
	depth := len(w.path)
	switch v := v.(type) {
	case map[string]any:
		for _, f := range p.fields {
			if inner, ok := v[f.name]; ok {
				w.path = append(w.path[:depth], f.key)
				w.visit(inner, f.ruleNode)
			}
		}
	case []any:
		if p.elem == nil && p.items == nil {
			break
		}
		for i, inner := range v {
			item := p.elem
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

// apply runs rules on one part of the value, and drops the findings of a rule that read
// something unknown.
func (w *walker) apply(v any, rules []rule) {
	at := schema.NewValue(v, &w.tracker)
	for i := range rules {
		w.tracker, w.rule = schema.Tracker{}, &rules[i]
		before := len(w.found)
		w.rule.check(at, w.report)
		if w.tracker.ReadUnknown {
			w.found = w.found[:before]
		}
	}
}

func (w *walker) add(at schema.Value, format string, args ...any) {
	if len(w.found) >= maxViolations {
		return
	}
	w.found = append(w.found, schema.Violation{
		Path: slices.Concat(w.path, at.Path()), Rule: w.rule.id, Warning: w.rule.warning, Hint: w.rule.hint,
		Message: fmt.Sprintf(format, args...),
	})
}
