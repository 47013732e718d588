package machine

import (
	"slices"

	"facteur/flow/call"
	"facteur/flow/schema"
)

// setEffect sets what is known of an attempt, and keeps the list of unknown calls.
func (m *Machine) setEffect(at *attempt, e effect) {
	switch {
	case e == at.effect:
		return
	case e == effectUnknown:
		m.unknown = append(m.unknown, at.key)
	case at.effect == effectUnknown:
		m.unknown = slices.DeleteFunc(m.unknown, func(key string) bool { return key == at.key })
	}
	before := at.effect
	at.effect = e
	if e == effectUnknown || before == effectUnknown {
		at.report.Unknown = m.latest(at.report, effectUnknown) != nil
	}
}

// latest returns the latest attempt of a step with that effect, or nil.
func (m *Machine) latest(step *Step, e effect) *attempt {
	for _, key := range slices.Backward(step.Keys) {
		if at := m.call(key); at.effect == e {
			return at
		}
	}
	return nil
}

// receive handles a receipt for an attempt; a repeated one has no effect.
func (m *Machine) receive(at *attempt, r call.Receipt) {
	known := func(earlier call.Receipt) bool { return r.ID != "" && r.ID == earlier.ID }
	if slices.ContainsFunc(at.receipts, known) {
		return
	}
	data, _ := schema.Stored(r.Data)
	r.Data, _ = data.(map[string]any)
	r.Error = canonicalError(r.Error)
	if !at.taken {
		m.receiveEarly(at, r)
		return
	}
	if at.run != nil && !isDenial(r) { // nothing reads the receipts of a step that succeeded
		at.receipts = append(at.receipts, r)
	}
	if at.answered { // else onAnswer applies it
		m.onReceipt(at, r)
	}
}

// receiveEarly handles a receipt for a call that was not taken up according to the journal,
// because that was restored from a backup. A call that happened must not be made again.
func (m *Machine) receiveEarly(at *attempt, r call.Receipt) {
	if trial := *at; m.applyReceipt(&trial, r, "") != call.Succeeded {
		return
	}
	m.withdraw(at)
	m.attempts[at.n-1] = at
	at.receipts = append(at.receipts, r)
	at.run.noteTaken()
	at.answered = true
	at.outputs = withAlways(at.do.Signature.Out, at.do.Signature.UnknownOutput)
	at.run.conclude(at, m.applyReceipt(at, r, ""))
}

// onReceipt handles a receipt for an attempt that has an outcome.
func (m *Machine) onReceipt(at *attempt, r call.Receipt) {
	a := at.run
	switch {
	case a == nil || a.phase == over:
		m.correctReport(at, r)
	case a.phase == awaiting && at == a.latest:
		a.conclude(at, m.applyReceipt(at, r, at.awaitedState()))
	case a.phase == awaiting || a.phase == calling && a.latest.taken:
		m.applyReceipt(at, r, "") // used when the later attempt has its outcome
	default:
		a.conclude(at, m.applyReceipt(at, r, ""))
	}
}

// applyReceipt updates an attempt with a receipt, and returns the status that the call has
// according to it: whether it has reached the wanted state or, for "", whether it happened;
// "" if the receipt does not tell.
func (m *Machine) applyReceipt(at *attempt, r call.Receipt, want string) call.Status {
	sig, o := at.do.Signature, call.Outcome{}
	outputs := at.outputs
	if at.preDenial != nil {
		outputs = at.preDenial // a receipt overrules a person
	}
	switch {
	case sig.Settle != nil:
		var input map[string]any
		if at.run != nil {
			input = at.run.input
		}
		o = sig.Settle(input, outputs, r, want)
	case isDenial(r):
		o = call.Outcome{Status: call.Failed, Error: r.Error}
	case r.ID == settlementID:
		o.Status = call.Succeeded
	}
	decisive := o.Status == call.Succeeded || o.Status == call.Failed
	if !decisive && (o.Status != call.Pending || at.preDenial != nil) {
		return ""
	}
	at.preDenial = nil
	if isDenial(r) {
		at.preDenial = outputs
	}
	if o.Output != nil {
		at.outputs = withAlways(sig.Out, canonical(sig.Out, o.Output))
	}
	switch o.Status {
	case call.Succeeded:
		m.setEffect(at, effectHappened)
		at.err = nil
	case call.Failed:
		m.setEffect(at, effectNone)
		if at.err = canonicalError(o.Error); at.err == nil {
			at.err = &call.Error{Code: "failed", Class: "permanent", Message: "a receipt says that it failed"}
		}
	}
	if at.state = furthest(sig.States, at.state, r.State, o.Status); at.reported || at.run != nil && at.run.reported == at {
		at.report.State = at.state
	}
	return o.Status
}

// furthest returns the state of a call after a receipt. Receipts may come out of order: a
// state never goes back to an earlier one, and after a failure only on to a success.
func furthest(states []string, before, now string, s call.Status) string {
	switch {
	case s == call.Failed:
		return now
	case slices.Index(states, now) > slices.Index(states, before):
		return now
	}
	return before
}

// applyReceipts applies the receipts of the latest attempt that came so far, and reports
// whether the step went on with them.
func (a *actionRun) applyReceipts() bool {
	at, want := a.latest, ""
	if a.phase == awaiting {
		want = at.awaitedState()
	}
	var status call.Status
	for _, r := range at.receipts {
		if s := a.m.applyReceipt(at, r, want); s == call.Succeeded || s == call.Failed {
			status = s
		}
	}
	return a.conclude(at, status)
}

// decidedByReceipt reports whether the step went on because a receipt that came already
// settles the latest call, or shows that an earlier attempt happened.
func (a *actionRun) decidedByReceipt() bool {
	if a.applyReceipts() {
		return true
	}
	at := a.m.latest(a.report, effectHappened)
	return at != nil && a.conclude(at, call.Succeeded)
}

// conclude goes on with the step after receipts gave an attempt, the latest or an earlier
// one, a status, and reports whether it did.
func (a *actionRun) conclude(at *attempt, s call.Status) bool {
	switch {
	case s == call.Succeeded && a.phase == awaiting:
		a.finish(nil)
	case s == call.Succeeded:
		a.adopt(at)
		a.onAccepted()
	case s == call.Failed && (at == a.latest || a.phase != settling && at.number > a.earlier): // a failure after acceptance is never retried
		a.adopt(at)
		a.finish(at.err)
	default:
		return false
	}
	return true
}

// adopt makes the outcome of an attempt that of the step, and withdraws a later call that
// was not taken up.
func (a *actionRun) adopt(at *attempt) {
	if at != a.latest {
		if a.phase == calling && !a.latest.taken {
			a.m.withdraw(a.latest)
		}
		a.release()
	}
	a.latest = at
	a.setReported(at)
}

// correctReport applies a receipt to the report of a step that has ended. The run's
// expressions do not see it, unless the run is retried.
func (m *Machine) correctReport(at *attempt, r call.Receipt) {
	before := at.effect
	want := at.awaitedState()
	if before != effectHappened {
		want = ""
	}
	s := m.applyReceipt(at, r, want)
	if s == call.Succeeded && want != at.awaitedState() {
		s = m.applyReceipt(at, r, at.awaitedState())
	}
	m.amendReport(at, before, s == call.Succeeded)
}

// amendReport updates the report of a step that has ended with what is known of an attempt
// by now; before is what was known, reached tells whether the call has succeeded, with the
// state that the step awaits.
func (m *Machine) amendReport(at *attempt, before effect, reached bool) {
	step := at.report
	changed := at.effect != before
	if !at.reported {
		if !changed || at.effect != effectHappened || step.Status == Succeeded {
			return // the report shows another attempt
		}
		for _, key := range step.Keys {
			m.call(key).reported = false
		}
		at.reported = true
	}
	step.Outputs, step.State = at.outputs, at.state
	if step.Sensitive {
		m.sensitive = append(m.sensitive, at.outputs)
	}
	switch {
	case at.effect == effectHappened && reached:
		step.Status, step.Error = Succeeded, nil
	case at.effect == effectHappened && changed:
		step.Error = &call.Error{Code: "timeout", Class: "timeout", Message: "accepted, as is known now, but not " + at.awaitedState() + " in time"}
	case at.effect == effectNone && changed:
		step.Error = at.err
	}
}
