package machine

import (
	"slices"

	"facteur/flow/call"
	"facteur/flow/schema"
)

// know notes what is known of an attempt by now.
func (m *Machine) know(at *attempt, f fate) {
	switch {
	case f == at.fate:
		return
	case f == doubtful:
		m.unknown = append(m.unknown, at.key)
	case at.fate == doubtful:
		m.unknown = slices.DeleteFunc(m.unknown, func(key string) bool { return key == at.key })
	}
	before := at.fate
	at.fate = f
	if f == doubtful || before == doubtful {
		at.report.Unknown = m.that(at.report, doubtful) != nil
	}
}

// that returns the latest attempt of a step with that fate, nil when there is none.
func (m *Machine) that(step *Step, f fate) *attempt {
	for _, key := range slices.Backward(step.Keys) {
		if at := m.call(key); at.fate == f {
			return at
		}
	}
	return nil
}

// receive takes a receipt for an attempt; a repeated one has no effect.
func (m *Machine) receive(at *attempt, r call.Receipt) {
	known := func(earlier call.Receipt) bool { return r.ID != "" && r.ID == earlier.ID }
	if slices.ContainsFunc(at.receipts, known) {
		return
	}
	data, _ := schema.Stored(r.Data)
	r.Data, _ = data.(map[string]any)
	r.Error = canonicalError(r.Error)
	if !at.taken {
		m.overtaken(at, r)
		return
	}
	if at.a != nil && !denial(r) { // else it is of no more use
		at.receipts = append(at.receipts, r)
	}
	if at.answered { // else it is considered with the answer
		m.news(at, r)
	}
}

// overtaken takes a receipt for a call that was not taken up, as far as the journal
// knows: it was restored from a backup. What happened must not be made again.
func (m *Machine) overtaken(at *attempt, r call.Receipt) {
	if guess := *at; m.weigh(&guess, r, "") != call.Succeeded {
		return
	}
	m.withdraw(at)
	m.made[at.n-1] = at
	at.receipts = append(at.receipts, r)
	at.a.count()
	at.answered = true
	at.outputs = withAlways(at.do.Signature.Out, at.do.Signature.Lost)
	at.a.learn(at, m.weigh(at, r, ""))
}

// news goes on after a receipt for an attempt that has an outcome.
func (m *Machine) news(at *attempt, r call.Receipt) {
	a := at.a
	switch {
	case a == nil || a.phase == over:
		m.correct(at, r)
	case a.phase == awaiting && at == a.now:
		a.learn(at, m.weigh(at, r, at.awaits()))
	case a.phase == awaiting || a.phase == calling && a.now.taken:
		m.weigh(at, r, "") // it counts when the later attempt has its outcome
	default:
		a.learn(at, m.weigh(at, r, ""))
	}
}

// weigh adds a receipt to what is known of its attempt, and returns what it comes to:
// whether it has the wanted state, or, for "", whether it happened. It returns "" for
// one that says nothing.
func (m *Machine) weigh(at *attempt, r call.Receipt, want string) call.Status {
	sig, o := at.do.Signature, call.Outcome{}
	outputs := at.outputs
	if at.denied != nil {
		outputs = at.denied // a receipt knows better
	}
	switch {
	case sig.Settle != nil:
		var input map[string]any
		if at.a != nil {
			input = at.a.input
		}
		o = sig.Settle(input, outputs, r, want)
	case denial(r):
		o = call.Outcome{Status: call.Failed, Error: r.Error}
	case r.ID == settlement:
		o.Status = call.Succeeded
	}
	decisive := o.Status == call.Succeeded || o.Status == call.Failed
	if !decisive && (o.Status != call.Pending || at.denied != nil) {
		return ""
	}
	at.denied = nil
	if denial(r) {
		at.denied = outputs
	}
	if o.Output != nil {
		at.outputs = withAlways(sig.Out, canonical(sig.Out, o.Output))
	}
	switch o.Status {
	case call.Succeeded:
		m.know(at, happened)
		at.err = nil
	case call.Failed:
		m.know(at, undone)
		if at.err = canonicalError(o.Error); at.err == nil {
			at.err = &call.Error{Code: "failed", Class: "permanent", Message: "a receipt says that it failed"}
		}
	}
	if at.state = furthest(sig.States, at.state, r.State, o.Status); at.shown || at.a != nil && at.a.told == at {
		at.report.State = at.state
	}
	return o.Status
}

// furthest returns the state that a call has after a receipt: none is taken back by an
// earlier one, and a failure only by a success.
func furthest(states []string, before, now string, s call.Status) string {
	switch {
	case s == call.Failed:
		return now
	case slices.Index(states, now) > slices.Index(states, before):
		return now
	}
	return before
}

// consult weighs the receipts that came so far, and tells whether the step went on with
// what they say together.
func (a *activity) consult() bool {
	at, want := a.now, ""
	if a.phase == awaiting {
		want = at.awaits()
	}
	var said call.Status
	for _, r := range at.receipts {
		if s := a.m.weigh(at, r, want); s == call.Succeeded || s == call.Failed {
			said = s
		}
	}
	return a.learn(at, said)
}

// settled tells whether a receipt that came already says what became of the call, or
// that an earlier attempt happened.
func (a *activity) settled() bool {
	if a.consult() {
		return true
	}
	at := a.m.that(a.report, happened)
	return at != nil && a.learn(at, call.Succeeded)
}

// learn goes on after what a receipt said of an attempt, the latest or an earlier one,
// and tells whether it did.
func (a *activity) learn(at *attempt, s call.Status) bool {
	switch {
	case s == call.Succeeded && a.phase == awaiting:
		a.finish(nil)
	case s == call.Succeeded:
		a.standFor(at)
		a.accepted()
	case s == call.Failed && (at == a.now || a.phase != settling && at.number > a.before): // after it was accepted: never tried again by us
		a.standFor(at)
		a.finish(at.err)
	default:
		return false
	}
	return true
}

// standFor makes the step stand for an attempt, and takes back one that was to come.
func (a *activity) standFor(at *attempt) {
	if at != a.now {
		if a.phase == calling && !a.now.taken {
			a.m.withdraw(a.now)
		}
		a.leave()
	}
	a.now = at
	a.tell(at)
}

// correct brings a receipt into the record of a step that has ended. The run does not
// hear of it, unless it is retried.
func (m *Machine) correct(at *attempt, r call.Receipt) {
	before := at.fate
	want := at.awaits()
	if before != happened {
		want = ""
	}
	s := m.weigh(at, r, want)
	if s == call.Succeeded && want != at.awaits() {
		s = m.weigh(at, r, at.awaits())
	}
	m.amend(at, before, s == call.Succeeded)
}

// amend makes the record of a step that has ended say what is known of an attempt by now,
// which is more than the run knew; reached tells whether that is what the step was to
// come to.
func (m *Machine) amend(at *attempt, before fate, reached bool) {
	step := at.report
	news := at.fate != before
	if !at.shown {
		if !news || at.fate != happened || step.Status == Succeeded {
			return // the step stands for another attempt
		}
		for _, key := range step.Keys {
			m.call(key).shown = false
		}
		at.shown = true
	}
	step.Outputs, step.State = at.outputs, at.state
	if step.Sensitive {
		m.sensitive = append(m.sensitive, at.outputs)
	}
	switch {
	case at.fate == happened && reached:
		step.Status, step.Error = Succeeded, nil
	case at.fate == happened && news:
		step.Error = &call.Error{Code: "timeout", Class: "timeout", Message: "accepted, as is known by now, but not " + at.awaits() + " in time"}
	case at.fate == undone && news:
		step.Error = at.err
	}
}
