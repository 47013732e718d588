package temporal

import (
	"maps"
	"slices"

	"facteur/flow/host"
	"facteur/flow/machine"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"
)

// runAttributes are a run's search attributes. They are written only if they have changed, and
// the run waits or has ended: each write costs the server as much as a timer. A run that
// succeeds at once writes none.
type runAttributes struct {
	status     machine.Status // "": the workflow's status says it
	unknown    int
	calls      string // encodeCalls of awaitedCalls
	held       []string
	recipients []string
}

// readAttributes reads the attributes that the start, or an earlier execution, has written.
func (r *runner) readAttributes() {
	attributes := workflow.GetTypedSearchAttributes(r.ctx)
	if status, ok := attributes.GetKeyword(statusKey); ok {
		r.attributes.status = machine.Status(status)
	}
	if unknown, ok := attributes.GetInt64(unknownKey); ok {
		r.attributes.unknown = int(unknown)
	}
	r.attributes.calls, _ = attributes.GetKeyword(callsKey)
	r.attributes.held, _ = attributes.GetKeywordList(heldKey)
	r.attributes.recipients, _ = attributes.GetKeywordList(recipientKey)
	for _, one := range r.attributes.recipients {
		r.recipients[one] = true
	}
}

// maxRecipients bounds the recipients in a run's search attributes.
const maxRecipients = 100

// addRecipient adds the recipient of a call.
func (r *runner) addRecipient(c *machine.Call) {
	if to := r.h.recipient(r.planned, &c.Call); to != "" && len(r.recipients) < maxRecipients {
		r.recipients[to] = true
	}
}

// upsertAttributes writes the attributes that have changed.
func (r *runner) upsertAttributes() {
	now := runAttributes{unknown: len(r.m.Unknown()), recipients: r.attributes.recipients}
	if r.m.Result() == nil && len(r.inFlight) == 0 {
		if now.status = host.Waiting; r.in.AwaitsTurn {
			now.status = host.Queued
		}
	}
	if r.m.Result() == nil && r.in.Past {
		now.calls = encodeCalls(r.awaitedCalls())
	}
	for _, one := range r.delayed {
		if one.Hold != "" && !slices.Contains(now.held, one.Hold) {
			now.held = append(now.held, one.Hold)
		}
	}
	slices.Sort(now.held)
	if len(r.recipients) > len(now.recipients) {
		now.recipients = slices.Sorted(maps.Keys(r.recipients))
	}
	var updates []temporal.SearchAttributeUpdate
	if now.status != r.attributes.status {
		updates = append(updates, keyword(statusKey, string(now.status)))
	}
	if now.calls != r.attributes.calls {
		updates = append(updates, keyword(callsKey, now.calls))
	}
	if now.unknown != r.attributes.unknown {
		updates = append(updates, unknownKey.ValueSet(int64(now.unknown)))
	}
	if !slices.Equal(now.held, r.attributes.held) {
		if len(now.held) == 0 {
			updates = append(updates, heldKey.ValueUnset())
		} else {
			updates = append(updates, heldKey.ValueSet(now.held))
		}
	}
	if len(now.recipients) != len(r.attributes.recipients) {
		updates = append(updates, recipientKey.ValueSet(now.recipients))
	}
	r.attributes = now
	if len(updates) == 0 {
		return
	}
	if err := workflow.UpsertTypedSearchAttributes(r.ctx, updates...); err != nil {
		panic(err.Error())
	}
}

func keyword(key temporal.SearchAttributeKeyKeyword, value string) temporal.SearchAttributeUpdate {
	if value == "" {
		return key.ValueUnset()
	}
	return key.ValueSet(value)
}
