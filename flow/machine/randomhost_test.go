package machine_test

import (
	"math/rand"
	"slices"
	"strings"

	"facteur/flow/call"
	"facteur/flow/machine"
	"facteur/flow/plan"
)

// A randomHost is a host to which anything legal happens. It tracks what is known of each
// call, and so which calls must not be made again.
type randomHost struct {
	*fakeHost
	*rand.Rand
	asked     map[string]*machine.Call // by key, every call that the run asked for
	answered  map[string]bool
	cancelled bool

	actions   map[string]*plan.Action   // by the ids of steps
	before    map[string]int            // attempts of each step when the run was last retried
	callsOf   map[string][]*trackedCall // by the paths of steps, without those that were held
	callByKey map[string]*trackedCall
}

// A trackedCall is a call that was taken up.
type trackedCall struct {
	key        string
	step       string
	effect     string // "", "happened", "undone" or "unknown"
	state      string // of its receipts
	resendable bool   // a person allowed it to be made again
	receipts   []call.Receipt
}

func newRandomHost(w *fakeHost, r *rand.Rand) *randomHost {
	c := &randomHost{
		fakeHost: w, Rand: r, asked: map[string]*machine.Call{}, answered: map[string]bool{},
		actions: map[string]*plan.Action{}, before: map[string]int{}, callsOf: map[string][]*trackedCall{}, callByKey: map[string]*trackedCall{},
	}
	var list func(p *plan.Plan)
	list = func(p *plan.Plan) {
		for _, s := range p.AllSteps {
			switch do := s.Do.(type) {
			case *plan.Action:
				c.actions[s.ID] = do
			case *plan.CallFlow:
				list(do.Plan)
			}
		}
	}
	list(w.plan)
	c.check(c.wanted)
	return c
}

// check asserts what must hold after every event; fresh are the commands that followed.
func (h *randomHost) check(fresh []machine.Command) {
	for _, c := range fresh {
		if c, ok := c.(*machine.Call); ok {
			h.require(h.asked[c.Key] == nil, "%s is used twice", c.Key)
			h.asked[c.Key] = c
			h.require(!c.InFlight && c.Attempt-h.before[c.Step] < 4, "%+v", c)
			h.require(!h.cancelled || strings.Contains(c.Step, "fin"), "%s: a cancelled run starts nothing but what finally wants", c.Step)
		}
	}
	h.checkUnknown()
	if h.m.Result() == nil {
		return
	}
	h.require(len(h.wanted) == 0, "the run has ended, and wants %v", h.wanted)
	for key := range h.taken {
		h.require(h.answered[key], "the run ended before %s had an outcome", key)
	}
	paths := map[string]bool{}
	for _, s := range h.m.Steps() {
		h.require(s.Status != machine.Running && !s.Ended.IsZero() && !paths[s.Path], "%+v", s)
		paths[s.Path] = true
	}
}

// checkUnknown asserts that the machine takes the tracked unknown calls for unknown.
func (h *randomHost) checkUnknown() {
	var unknown []string
	for key, c := range h.callByKey {
		if c.effect == "unknown" {
			unknown = append(unknown, key)
		}
	}
	believed := h.m.Unknown()
	slices.Sort(unknown)
	slices.Sort(believed)
	h.require(slices.Equal(unknown, believed), "the machine takes %v for unknown, the books %v", believed, unknown)
	for _, s := range h.m.Steps() {
		any := slices.ContainsFunc(s.Keys, func(key string) bool { return slices.Contains(unknown, key) })
		h.require(s.Unknown == any, "%+v", s)
	}
}

// require fails the test unless ok. Unlike testify's it costs nothing when it holds, as it is
// called after each of many events.
func (h *randomHost) require(ok bool, format string, args ...any) {
	if !ok {
		h.t.Helper()
		h.t.Fatalf(format, args...)
	}
}

func (h *randomHost) applyChecked(e machine.Event) {
	fresh, err := h.apply(e)
	h.require(err == nil, "%v", err)
	h.track(e)
	h.check(fresh)
}

// track records what an event says of its call, and asserts that no call is repeated that
// must not be.
func (h *randomHost) track(e machine.Event) {
	switch e := e.(type) {
	case machine.Taken:
		c := h.asked[e.Key]
		for _, earlier := range h.callsOf[c.Step] { // nothing may be done twice
			allowed := c.Repeatable || earlier.effect == "undone" || earlier.effect == "unknown" && (earlier.resendable || h.action(c.Step).Resend)
			h.require(allowed, "%s makes the call %s, but %s is %q", c.Step, c.Key, earlier.key, earlier.effect)
		}
		one := &trackedCall{key: c.Key, step: c.Step}
		h.callByKey[c.Key] = one
		h.callsOf[c.Step] = append(h.callsOf[c.Step], one)
	case machine.Answered:
		c := h.callByKey[e.Key]
		h.answered[e.Key] = true
		if e.Outcome.Held {
			delete(h.callByKey, e.Key)
			h.callsOf[c.step] = slices.DeleteFunc(h.callsOf[c.step], func(other *trackedCall) bool { return other == c })
			return
		}
		switch e.Outcome.Status {
		case call.Succeeded, call.Pending:
			c.effect = "happened"
		case call.Failed, call.Cancelled:
			c.effect = "undone"
		default:
			c.effect = "unknown"
		}
		for _, r := range c.receipts {
			h.trackReceipt(c, r)
		}
	case machine.Received:
		c := h.callByKey[e.Receipt.Key]
		if asked, ok := h.asked[e.Receipt.Key]; ok && c == nil {
			h.trackEarly(asked, e.Receipt)
			return
		}
		if c == nil || slices.ContainsFunc(c.receipts, func(r call.Receipt) bool { return r.ID == e.Receipt.ID }) {
			return
		}
		c.receipts = append(c.receipts, e.Receipt)
		if h.answered[c.key] {
			h.trackReceipt(c, e.Receipt)
		}
	case machine.Settled:
		if c := h.callByKey[e.Key]; c != nil && c.effect == "unknown" {
			if c.effect = "undone"; e.Happened {
				c.effect = "happened"
			}
		}
	case machine.Retried:
		h.cancelled = false // and nothing was taken up since
		for _, s := range h.m.Steps() {
			h.before[s.Path] = s.Attempts
		}
		for _, c := range h.callByKey {
			c.resendable = c.resendable || e.Resend
		}
	case machine.CancelRequested:
		h.cancelled = true
	}
}

// trackEarly tracks a receipt for a call that was asked for but not taken up: if the machine
// counts the call as made, it has happened.
func (h *randomHost) trackEarly(c *machine.Call, r call.Receipt) {
	for _, s := range h.m.Steps() {
		if s.Path == c.Step && slices.Contains(s.Keys, c.Key) {
			h.require(ranks[r.State] > 0, "%s is no news", r.State)
			h.callByKey[c.Key] = &trackedCall{key: c.Key, step: c.Step, effect: "happened", state: r.State, receipts: []call.Receipt{r}}
			h.callsOf[c.Step] = append(h.callsOf[c.Step], h.callByKey[c.Key])
			h.taken[c.Key], h.answered[c.Key] = true, true
		}
	}
}

func (h *randomHost) trackReceipt(c *trackedCall, r call.Receipt) {
	switch {
	case h.action(c.step).Signature.Settle == nil:
	case r.State == "failed" && ranks[c.state] < ranks["delivered"]:
		c.state, c.effect = "failed", "undone"
	case c.state == "failed" && ranks[r.State] < ranks["delivered"]:
	case ranks[r.State] > ranks[c.state]:
		c.state, c.effect = r.State, "happened"
	}
}

// action returns the action of a step by its path: ids are unique in generated flows.
func (h *randomHost) action(path string) *plan.Action {
	return h.actions[path[strings.LastIndexAny(path, "./")+1:]]
}

func (h *randomHost) takeUp(c *machine.Call) {
	h.applyChecked(machine.Taken{At: h.now, Key: c.Key, Fingerprint: c.Fingerprint})
}

func (h *randomHost) answer(c *machine.Call, o call.Outcome) {
	h.applyChecked(machine.Answered{At: h.now, Key: c.Key, Outcome: o})
}
