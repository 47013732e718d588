package temporal

import (
	"maps"
	"slices"

	"facteur/flow/host"
	"facteur/flow/machine"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"
)

// shown is what lists show of a run. It is written only when it has changed and the run
// rests or has ended: each write costs the server as much as a timer. A run that succeeds
// at once writes nothing.
type shown struct {
	status     machine.Status // "": what the server itself says of the workflow
	unknown    int
	news       string
	held       []string
	recipients []string
}

// recallShown reads what an earlier execution, or the start, has written.
func (r *runner) recallShown() {
	attributes := workflow.GetTypedSearchAttributes(r.ctx)
	if status, ok := attributes.GetKeyword(statusKey); ok {
		r.shown.status = machine.Status(status)
	}
	if unknown, ok := attributes.GetInt64(unknownKey); ok {
		r.shown.unknown = int(unknown)
	}
	r.shown.news, _ = attributes.GetKeyword(newsKey)
	r.shown.held, _ = attributes.GetKeywordList(heldKey)
	r.shown.recipients, _ = attributes.GetKeywordList(recipientKey)
	for _, one := range r.shown.recipients {
		r.told[one] = true
	}
}

// maxRecipients bounds by how many contacts a run is found.
const maxRecipients = 100

// wrote notes whom a call writes to.
func (r *runner) wrote(c *machine.Call) {
	if to := r.h.recipient(r.planned, &c.Call); to != "" && len(r.told) < maxRecipients {
		r.told[to] = true
	}
}

// show writes what has changed.
func (r *runner) show() {
	now := shown{unknown: len(r.m.Unknown()), recipients: r.shown.recipients}
	if r.m.Result() == nil && len(r.made) == 0 {
		if now.status = host.Waiting; r.in.Turn {
			now.status = host.Queued
		}
	}
	if r.m.Result() == nil && r.in.Past {
		now.news = newsOf(r.wanted())
	}
	for _, one := range r.held {
		if one.Hold != "" && !slices.Contains(now.held, one.Hold) {
			now.held = append(now.held, one.Hold)
		}
	}
	slices.Sort(now.held)
	if len(r.told) > len(now.recipients) {
		now.recipients = slices.Sorted(maps.Keys(r.told))
	}
	var updates []temporal.SearchAttributeUpdate
	if now.status != r.shown.status {
		updates = append(updates, keyword(statusKey, string(now.status)))
	}
	if now.news != r.shown.news {
		updates = append(updates, keyword(newsKey, now.news))
	}
	if now.unknown != r.shown.unknown {
		updates = append(updates, unknownKey.ValueSet(int64(now.unknown)))
	}
	if !slices.Equal(now.held, r.shown.held) {
		if len(now.held) == 0 {
			updates = append(updates, heldKey.ValueUnset())
		} else {
			updates = append(updates, heldKey.ValueSet(now.held))
		}
	}
	if len(now.recipients) != len(r.shown.recipients) {
		updates = append(updates, recipientKey.ValueSet(now.recipients))
	}
	r.shown = now
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
