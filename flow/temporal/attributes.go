package temporal

import (
	"context"
	"crypto/sha256"
	"encoding/base32"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"facteur/flow/call"
	"facteur/flow/host"
	"facteur/flow/machine"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/operatorservice/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"
)

// The search attributes of runs, which List and others query. None has personal data in the
// clear.
var (
	flowKey      = temporal.NewSearchAttributeKeyKeyword("FacteurFlow")
	digestKey    = temporal.NewSearchAttributeKeyKeyword("FacteurDigest")
	byKey        = temporal.NewSearchAttributeKeyKeyword("FacteurBy")
	statusKey    = temporal.NewSearchAttributeKeyKeyword("FacteurStatus")        // only if it is not the workflow's status
	callsKey     = temporal.NewSearchAttributeKeyKeyword("FacteurNews")          // the calls whose receipts the run awaits
	recipientKey = temporal.NewSearchAttributeKeyKeywordList("FacteurRecipient") // hashed
	heldKey      = temporal.NewSearchAttributeKeyKeywordList("FacteurHeld")      // the holds of its calls
	unknownKey   = temporal.NewSearchAttributeKeyInt64("FacteurUnknown")         // calls
	startedKey   = temporal.NewSearchAttributeKeyInt64("FacteurStarted")         // of the run, not of the execution; in microseconds since 1970
)

// ensureAttributes registers the search attributes that the namespace lacks.
func (h *Host) ensureAttributes(ctx context.Context) error {
	operator := h.client.OperatorService()
	list, err := operator.ListSearchAttributes(ctx, &operatorservice.ListSearchAttributesRequest{Namespace: h.opts.Namespace})
	if err != nil {
		return fmt.Errorf("read the search attributes of the namespace %s: %w", h.opts.Namespace, err)
	}
	missing := map[string]enumspb.IndexedValueType{}
	for _, key := range []temporal.SearchAttributeKey{flowKey, digestKey, byKey, statusKey, callsKey, recipientKey, heldKey, unknownKey, startedKey} {
		if list.GetCustomAttributes()[key.GetName()] != key.GetValueType() {
			missing[key.GetName()] = key.GetValueType()
		}
	}
	if len(missing) == 0 {
		return nil
	}
	_, err = operator.AddSearchAttributes(ctx, &operatorservice.AddSearchAttributesRequest{Namespace: h.opts.Namespace, SearchAttributes: missing})
	if _, exists := errors.AsType[*serviceerror.AlreadyExists](err); err == nil || exists {
		return nil
	}
	var commands []string
	for _, name := range slices.Sorted(maps.Keys(missing)) {
		commands = append(commands, fmt.Sprintf("--name %s --type %s", name, missing[name]))
	}
	return fmt.Errorf("the namespace %s lacks search attributes, and they could not be added (%w): let an operator run temporal operator search-attribute create %s",
		h.opts.Namespace, err, strings.Join(commands, " "))
}

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

// currentAttributes returns the attributes that the run should have.
func (r *runner) currentAttributes() (now runAttributes) {
	now.unknown, now.recipients = len(r.m.Unknown()), r.attributes.recipients
	if len(r.recipients) > len(now.recipients) {
		now.recipients = slices.Sorted(maps.Keys(r.recipients))
	}
	for _, one := range r.delayed {
		if one.Hold != "" && !slices.Contains(now.held, one.Hold) {
			now.held = append(now.held, one.Hold)
		}
	}
	slices.Sort(now.held)
	if r.m.Result() != nil {
		return now
	}
	switch {
	case len(r.inFlight) > 0:
	case r.in.AwaitsTurn:
		now.status = host.Queued
	default:
		now.status = host.Waiting
	}
	if r.in.Past {
		now.calls = encodeCalls(r.awaitedCalls())
	}
	return now
}

// upsertAttributes writes the attributes that have changed.
func (r *runner) upsertAttributes() {
	before, now := r.attributes, r.currentAttributes()
	r.attributes = now
	var updates []temporal.SearchAttributeUpdate
	if now.status != before.status {
		updates = append(updates, keyword(statusKey, string(now.status)))
	}
	if now.calls != before.calls {
		updates = append(updates, keyword(callsKey, now.calls))
	}
	if now.unknown != before.unknown {
		updates = append(updates, unknownKey.ValueSet(int64(now.unknown)))
	}
	switch {
	case slices.Equal(now.held, before.held):
	case len(now.held) == 0:
		updates = append(updates, heldKey.ValueUnset())
	default:
		updates = append(updates, heldKey.ValueSet(now.held))
	}
	if len(now.recipients) != len(before.recipients) {
		updates = append(updates, recipientKey.ValueSet(now.recipients))
	}
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

// contactHash returns a contact as recipientKey has it: short, as the server bounds the size
// of a keyword list.
func (h *Host) contactHash(contact string) string {
	sum := sha256.Sum256([]byte(h.hash(contact)))
	return base32.StdEncoding.EncodeToString(sum[:8])[:13]
}

// recipient returns the contactHash of a call's recipient, "" if it has none.
func (h *Host) recipient(p *host.CachedPlan, c *call.Call) string {
	to := p.Recipient(c)
	if to == "" {
		return ""
	}
	return h.contactHash(to)
}
