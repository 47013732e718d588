package machine_test

import (
	"math/rand"
	"slices"
	"strings"

	"facteur/flow/call"
	"facteur/flow/machine"
	"facteur/flow/plan"
)

// A chaos is a world in which anything happens. It keeps books of what it may believe of
// each call, and so of which calls must not be made again.
type chaos struct {
	*world
	*rand.Rand
	keys      map[string]*machine.Call // that were asked for
	answered  map[string]bool
	cancelled bool

	actions map[string]*plan.Action // by the ids of steps
	before  map[string]int          // attempts of each step when the run was last retried
	calls   map[string][]*made      // by the paths of steps, without those that were held
	byKey   map[string]*made
}

// A made is a call that was taken up.
type made struct {
	key      string
	step     string
	fate     string // "", "happened", "undone" or "unknown"
	state    string // of its receipts
	again    bool   // a person allowed it to be made again
	receipts []call.Receipt
}

func newChaos(w *world, r *rand.Rand) *chaos {
	c := &chaos{
		world: w, Rand: r, keys: map[string]*machine.Call{}, answered: map[string]bool{},
		actions: map[string]*plan.Action{}, before: map[string]int{}, calls: map[string][]*made{}, byKey: map[string]*made{},
	}
	var list func(p *plan.Plan)
	list = func(p *plan.Plan) {
		for _, s := range p.All {
			switch do := s.Do.(type) {
			case *plan.Action:
				c.actions[s.ID] = do
			case *plan.CallFlow:
				list(do.Plan)
			}
		}
	}
	list(w.plan)
	c.check(c.asked)
	return c
}

// check checks what must hold after every event.
func (w *chaos) check(fresh []machine.Command) {
	for _, c := range fresh {
		if c, ok := c.(*machine.Call); ok {
			w.holds(w.keys[c.Key] == nil, "%s is used twice", c.Key)
			w.keys[c.Key] = c
			w.holds(!c.InFlight && c.Attempt-w.before[c.Step] < 4, "%+v", c)
			w.holds(!w.cancelled || strings.Contains(c.Step, "fin"), "%s: a cancelled run starts nothing but what finally wants", c.Step)
		}
	}
	w.checkUnknown()
	if w.m.Result() == nil {
		return
	}
	w.holds(len(w.asked) == 0, "the run has ended, and wants %v", w.asked)
	for key := range w.taken {
		w.holds(w.answered[key], "the run ended before %s had an outcome", key)
	}
	paths := map[string]bool{}
	for _, s := range w.m.Steps() {
		w.holds(s.Status != machine.Running && !s.Ended.IsZero() && !paths[s.Path], "%+v", s)
		paths[s.Path] = true
	}
}

// checkUnknown checks that the machine believes of calls what the books say.
func (w *chaos) checkUnknown() {
	var unknown []string
	for key, c := range w.byKey {
		if c.fate == "unknown" {
			unknown = append(unknown, key)
		}
	}
	believed := w.m.Unknown()
	slices.Sort(unknown)
	slices.Sort(believed)
	w.holds(slices.Equal(unknown, believed), "the machine takes %v for unknown, the books %v", believed, unknown)
	for _, s := range w.m.Steps() {
		any := slices.ContainsFunc(s.Keys, func(key string) bool { return slices.Contains(unknown, key) })
		w.holds(s.Unknown == any, "%+v", s)
	}
}

// holds fails the test if something does not hold. It costs nothing where it does, unlike
// what else there is for that: it is asked after each of many events.
func (w *chaos) holds(ok bool, format string, args ...any) {
	if !ok {
		w.t.Helper()
		w.t.Fatalf(format, args...)
	}
}

func (w *chaos) happen(e machine.Event) {
	fresh, err := w.apply(e)
	w.holds(err == nil, "%v", err)
	w.book(e)
	w.check(fresh)
}

// book keeps the books.
func (w *chaos) book(e machine.Event) {
	switch e := e.(type) {
	case machine.Taken:
		c := w.keys[e.Key]
		for _, earlier := range w.calls[c.Step] { // nothing may be done twice
			allowed := c.Repeatable || earlier.fate == "undone" || earlier.fate == "unknown" && (earlier.again || w.action(c.Step).Resend)
			w.holds(allowed, "%s makes the call %s, but %s is %q", c.Step, c.Key, earlier.key, earlier.fate)
		}
		one := &made{key: c.Key, step: c.Step}
		w.byKey[c.Key] = one
		w.calls[c.Step] = append(w.calls[c.Step], one)
	case machine.Answered:
		c := w.byKey[e.Key]
		w.answered[e.Key] = true
		if e.Outcome.Held {
			delete(w.byKey, e.Key)
			w.calls[c.step] = slices.DeleteFunc(w.calls[c.step], func(other *made) bool { return other == c })
			return
		}
		switch e.Outcome.Status {
		case call.Succeeded, call.Pending:
			c.fate = "happened"
		case call.Failed, call.Cancelled:
			c.fate = "undone"
		default:
			c.fate = "unknown"
		}
		for _, r := range c.receipts {
			w.tell(c, r)
		}
	case machine.Received:
		c := w.byKey[e.Receipt.Key]
		if asked, ok := w.keys[e.Receipt.Key]; ok && c == nil {
			w.bookEarly(asked, e.Receipt)
			return
		}
		if c == nil || slices.ContainsFunc(c.receipts, func(r call.Receipt) bool { return r.ID == e.Receipt.ID }) {
			return
		}
		c.receipts = append(c.receipts, e.Receipt)
		if w.answered[c.key] {
			w.tell(c, e.Receipt)
		}
	case machine.Settled:
		if c := w.byKey[e.Key]; c != nil && c.fate == "unknown" {
			if c.fate = "undone"; e.Happened {
				c.fate = "happened"
			}
		}
	case machine.Retried:
		w.cancelled = false // and nothing was taken up since
		for _, s := range w.m.Steps() {
			w.before[s.Path] = s.Attempts
		}
		for _, c := range w.byKey {
			c.again = c.again || e.Resend
		}
	case machine.CancelRequested:
		w.cancelled = true
	}
}

// bookEarly books a receipt for a call that was not taken up: if it was wanted, it need
// not be any more.
func (w *chaos) bookEarly(c *machine.Call, r call.Receipt) {
	for _, s := range w.m.Steps() {
		if s.Path == c.Step && slices.Contains(s.Keys, c.Key) {
			w.holds(ranks[r.State] > 0, "%s is no news", r.State)
			w.byKey[c.Key] = &made{key: c.Key, step: c.Step, fate: "happened", state: r.State, receipts: []call.Receipt{r}}
			w.calls[c.Step] = append(w.calls[c.Step], w.byKey[c.Key])
			w.taken[c.Key], w.answered[c.Key] = true, true
		}
	}
}

func (w *chaos) tell(c *made, r call.Receipt) {
	switch {
	case w.action(c.step).Signature.Settle == nil:
	case r.State == "failed" && ranks[c.state] < ranks["delivered"]:
		c.state, c.fate = "failed", "undone"
	case c.state == "failed" && ranks[r.State] < ranks["delivered"]:
	case ranks[r.State] > ranks[c.state]:
		c.state, c.fate = r.State, "happened"
	}
}

// action returns what a step calls: in the flows of an author, ids are unique.
func (w *chaos) action(path string) *plan.Action {
	return w.actions[path[strings.LastIndexAny(path, "./")+1:]]
}

func (w *chaos) takeUp(c *machine.Call) {
	w.happen(machine.Taken{At: w.now, Key: c.Key, Print: c.Print})
}

func (w *chaos) answer(c *machine.Call, o call.Outcome) {
	w.happen(machine.Answered{At: w.now, Key: c.Key, Outcome: o})
}
