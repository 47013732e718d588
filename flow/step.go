package flow

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"facteur/flow/diag"
)

type stepKind struct {
	key        string
	companions []string
}

// kinds are the keys of which a step has exactly one, with their companions.
var kinds = [...]stepKind{
	{"action", []string{"connection", "with", "retry", "timeout", "await", "on_unknown", "unknown_timeout", "idempotent"}},
	{"set", nil},
	{"switch", []string{"default"}},
	{"foreach", []string{"as", "concurrency", "steps", "collect"}},
	{"parallel", nil},
	{"try", []string{"catch", "finally"}},
	{"wait", nil},
	{"wait_until", nil},
	{"wait_for", []string{"on_timeout"}},
	{"call", []string{"with"}},
	{"return", nil},
	{"fail", nil},
}

func (p *parser) construct(kind string, o object) Construct {
	switch kind {
	case "action":
		return p.action(o)
	case "set":
		return p.set(o)
	case "switch":
		return p.switchCases(o)
	case "foreach":
		return p.foreach(o)
	case "parallel":
		return p.parallel(o)
	case "try":
		return p.try(o)
	case "wait", "wait_until":
		return p.wait(kind, o)
	case "wait_for":
		return p.waitFor(o)
	case "call":
		return p.call(o)
	case "return":
		return p.returnValues(o)
	default:
		return p.fail(o)
	}
}

var commonKeys = [...]string{"id", "description", "if", "allow_failure", "sensitive"}

// A stepCount says whether a list of steps may be written as [].
type stepCount bool

const (
	atLeastOne stepCount = false
	mayBeEmpty stepCount = true
)

// steps parses the steps of a key.
func (o object) steps(key string, empty stepCount) []*Step {
	n := o.get(key)
	if n == nil {
		return nil
	}
	return o.p.stepList(n, o.name(key), empty)
}

func (p *parser) stepList(n *Node, what string, empty stepCount) []*Step {
	switch {
	case n.Kind == NullNode || n.Kind == ListNode && len(n.Items) == 0 && empty == atLeastOne:
		hint := "add a step, or remove the key"
		if empty == mayBeEmpty {
			hint = "add a step, or write [] to do nothing"
		}
		p.errorf("empty-steps", n.Range, hint, "%s has no steps", what)
		return nil
	case n.Kind == MapNode:
		p.wrongKind(n, what, "a list of steps", "put a dash before each step: - id: …")
		return nil
	case n.Kind != ListNode:
		p.wrongKind(n, what, "a list of steps", "")
		return nil
	}
	steps := make([]*Step, 0, len(n.Items))
	for _, item := range n.Items {
		if p.steps++; p.steps == maxSteps+1 {
			p.errorf("too-many-steps", item.Head(), "`call` runs one flow from another", "a flow has at most %d steps", maxSteps)
		}
		if p.steps > maxSteps {
			break
		}
		if s := p.step(item); s != nil {
			steps = append(steps, s)
		}
	}
	return steps
}

func (p *parser) step(n *Node) *Step {
	if n.Kind != MapNode {
		p.wrongKind(n, "a step", "a map of keys and values", "a step has one of "+strings.Join(kindNames(), ", "))
		return nil
	}
	kind := ""
	for _, e := range n.Entries {
		switch {
		case !isKind(e.Key.Value):
		case kind == "":
			kind = e.Key.Value
		default:
			p.errorf("two-kinds", e.Key.Whole, "split it into two steps", "a step does one thing: this one already has %q", kind)
		}
	}
	s := &Step{Range: n.Head()}
	keys := keysOf(kind)
	o := object{p, p.recoverIndent(n, keys), "a step"}
	if kind == "" {
		p.noKind(o)
	} else {
		o.what = "a step with `" + kind + "`"
	}
	if kind == "action" || kind == "call" {
		o.node = p.recoverWith(o.node, keys)
	}
	p.stepKeys(o, kind)
	o.node = o.node.renameKeys(keys, intendedStepKey)
	for _, e := range o.node.Entries {
		if kind == "" && isKind(e.Key.Value) {
			kind = e.Key.Value
		}
	}

	if id := o.literal("id"); id != nil && p.claimID(*id) {
		s.ID = *id
	}
	s.Description = o.description()
	s.If = o.condition("if")
	s.AllowFailure = o.boolean("allow_failure")
	s.Sensitive = o.boolean("sensitive")
	if kind != "" {
		s.Do = p.construct(kind, o)
	}
	return s
}

func kindNames() []string {
	names := make([]string, len(kinds))
	for i := range kinds {
		names[i] = kinds[i].key
	}
	return names
}

func isKind(key string) bool {
	return slices.ContainsFunc(kinds[:], func(k stepKind) bool { return k.key == key })
}

// goesWith reports whether a key is a companion of a kind ("": of any).
func goesWith(kind, key string) bool {
	return slices.ContainsFunc(kinds[:], func(k stepKind) bool {
		return (k.key == kind || kind == "") && slices.Contains(k.companions, key)
	})
}

// keysOf returns the keys of steps of a kind ("": of any).
func keysOf(kind string) []string {
	keys := append(kindNames(), commonKeys[:]...)
	for _, k := range kinds {
		if k.key == kind || kind == "" {
			keys = append(keys, k.companions...)
		}
	}
	return keys
}

// noKind reports a step without a kind, unless the hint of an unknown key says more.
func (p *parser) noKind(o object) {
	for _, e := range o.node.Entries {
		if diag.Suggest(e.Key.Value, kindNames()) != "" || stepKeyHint(e.Key.Value) != "" {
			return
		}
	}
	p.errorf("no-kind", o.node.Head(), "a step has one of "+strings.Join(kindNames(), ", "), "this step does not say what to do")
}

// withHint is the hint for inputs of actions.
const withHint = "put the inputs of the action under with:"

// stepKeyHint says how to write a key that steps have in other languages.
func stepKeyHint(key string) string {
	switch strings.ReplaceAll(strings.ToLower(key), "-", "_") {
	case "sleep", "delay", "pause":
		return "write wait: 10s"
	case "loop", "for", "each", "for_each", "with_items", "while", "repeat":
		return "write foreach: with a list, as: with a name for its items, and steps:"
	case "do", "tasks", "actions":
		return "write steps: with a list of steps"
	case "uses", "run", "type", "task", "use":
		return "write action: with a name from \"facteur actions\""
	case "params", "inputs", "args", "arguments", "input", "parameters":
		return "write with:"
	case "name":
		return "write id: with a name such as notify, or description: with text"
	case "else", "elif", "cases", "case", "choose":
		return "write switch: with a list of {when, steps}, and default: beside it"
	case "condition", "only_if", "unless", "when":
		return "write if: with a condition"
	case "except", "rescue", "on_error":
		return "write catch: with a list of {when, steps}, beside try:"
	case "ensure", "always":
		return "write finally: with a list of steps, beside try:"
	case "continue_on_error", "ignore_errors", "allow_error", "optional":
		return "write allow_failure: true"
	case "recipient", "to", "message", "message_type", "once", "fallback", "url", "method", "headers", "json", "body":
		return withHint
	case "then":
		return "a step does one thing; to run several steps under a condition, write switch: with a list of {when, steps}"
	case "needs", "depends_on", "after", "next", "goto":
		return "remove it: steps run in the order of the file"
	case "retries", "max_attempts", "attempts":
		return "write retry: {attempts: 3}"
	case "token", "credentials", "auth", "secret", "secrets", "api_key":
		return "write connection: with a name; \"facteur vault set NAME\" stores its secrets"
	case "outputs", "output", "register", "export", "save":
		return "remove it: the result of a step is read as steps.<id>.outputs"
	case "wait_for_reply", "ask", "receive", "listen":
		return "write wait_for: {event: whatsapp.message, from: …, timeout: 24h}"
	}
	return ""
}

// stepKeys reports keys that a step of a kind ("": unknown) does not have.
func (p *parser) stepKeys(o object, kind string) {
	for _, e := range o.node.Entries {
		key := e.Key.Value
		if slices.Contains(commonKeys[:], key) || isKind(key) || goesWith(kind, key) {
			continue
		}
		known := slices.Clone(commonKeys[:])
		var others []string // kinds that have the key
		for _, k := range kinds {
			if slices.Contains(k.companions, key) {
				others = append(others, "`"+k.key+"`")
			}
			if k.key == kind {
				known = append(append(known, k.key), k.companions...)
			} else if kind == "" {
				known = append(known, k.key)
			}
		}
		switch {
		case kind == "wait_for" && slices.Contains([]string{"event", "from", "path", "when", "timeout", "until"}, key):
			p.errorf("misplaced-key", e.Key.Whole, "move it inside: wait_for: {…, "+key+": …}", "%s has no key %q", o.what, key)
		case len(others) > 0:
			p.errorf("misplaced-key", e.Key.Whole, "it belongs to a step with "+strings.Join(others, " or "),
				"%s has no key %q", o.what, key)
		default:
			hint := cmp.Or(stepKeyHint(key), diag.DidYouMean(key, "keys", known))
			p.errorf("unknown-key", e.Key.Whole, hint, "%s has no key %q", o.what, key)
			p.diags[len(p.diags)-1].Hidden = diag.NamesSecret(key)
		}
	}
}

func (p *parser) action(o object) Construct {
	a := &Action{
		Connection:     o.connection(),
		Retry:          p.retry(o.get("retry")),
		Timeout:        o.duration("timeout"),
		Await:          p.await(o.get("await")),
		OnUnknown:      o.choice("on_unknown", "fail", "resend"),
		UnknownTimeout: o.duration("unknown_timeout"),
		Idempotent:     o.boolean("idempotent"),
	}
	if name := o.literal("action"); name != nil {
		a.Name = *name
	}
	a.With, a.WithRange = o.with(o.entry("action").Key.Whole)
	if a.WithRange == o.entry("action").Key.Whole && a.Name.Value != "" {
		a.WithRange = a.Name.Whole
	}
	return a
}

// with returns the inputs of an action or a flow, and their range.
func (o object) with(fallback diag.Range) (*Node, diag.Range) {
	e := o.entry("with")
	if e == nil {
		return nil, fallback
	}
	if e.Value.Kind != MapNode && !(e.Value.Kind == TextNode && expressionAt(e.Value.Text.Value) >= 0) {
		o.p.wrongKind(e.Value, "`with`", "a map of names and values", "")
		return nil, e.Key.Whole
	}
	return e.Value, e.Key.Whole
}

func (p *parser) retry(n *Node) *Retry {
	if n == nil {
		return nil
	}
	if n.Kind == IntNode {
		p.wrongKind(n, "`retry`", "a map of keys and values", "write {attempts: "+n.Text.Value+"}")
		return nil
	}
	o, ok := p.object(n, "`retry`", "attempts", "delay", "factor", "max_delay", "when")
	if !ok {
		return nil
	}
	r := &Retry{
		Attempts: o.integer("attempts", 3, 1, 100),
		Delay:    o.durationOr("delay", time.Second),
		Factor:   2,
		MaxDelay: o.durationOr("max_delay", 5*time.Minute),
		When:     o.condition("when"),
	}
	if n := o.get("factor"); n != nil {
		factor, ok := n.number()
		switch {
		case !ok:
			p.wrongKind(n, "`factor`", "a number", "")
		case factor < 1 || factor > 100:
			p.errorf("bad-number", n.Range, "", "`factor` must be from 1 to 100")
		default:
			r.Factor = factor
		}
	}
	if o.get("max_delay") == nil {
		r.MaxDelay = max(r.MaxDelay, r.Delay)
	} else if r.MaxDelay < r.Delay {
		p.errorf("bad-duration", o.get("max_delay").Range, "", "`max_delay` is shorter than `delay`")
		r.MaxDelay = r.Delay
	}
	return r
}

func (p *parser) await(n *Node) *Await {
	if n == nil {
		return nil
	}
	if n.Kind == TextNode {
		p.wrongKind(n, "`await`", "a map of keys and values", "write {state: "+n.Text.Value+"}")
		return nil
	}
	o, ok := p.object(n, "`await`", "state", "timeout")
	if !ok {
		return nil
	}
	o.require("state")
	a := &Await{Timeout: o.durationOr("timeout", time.Hour), Range: n.Range}
	if state := o.literal("state"); state != nil {
		a.State = *state
	}
	return a
}
