package temporal

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/operatorservice/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/temporal"
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

func attributeTypes() map[string]enumspb.IndexedValueType {
	out := map[string]enumspb.IndexedValueType{}
	for _, key := range []temporal.SearchAttributeKey{flowKey, digestKey, byKey, statusKey, callsKey, recipientKey, heldKey, unknownKey, startedKey} {
		out[key.GetName()] = key.GetValueType()
	}
	return out
}

// ensureAttributes registers the search attributes that the namespace lacks.
func (h *Host) ensureAttributes(ctx context.Context) error {
	operator := h.client.OperatorService()
	list, err := operator.ListSearchAttributes(ctx, &operatorservice.ListSearchAttributesRequest{Namespace: h.opts.Namespace})
	if err != nil {
		return fmt.Errorf("read the search attributes of the namespace %s: %w", h.opts.Namespace, err)
	}
	missing := attributeTypes()
	maps.DeleteFunc(missing, func(name string, of enumspb.IndexedValueType) bool { return list.GetCustomAttributes()[name] == of })
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
