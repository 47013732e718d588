package host

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"facteur/flow/call"
	"facteur/flow/machine"
)

// An UnresolvedCall is a call that was taken up and whose outcome is not recorded, of a run that
// cannot be rebuilt.
type UnresolvedCall struct {
	Key  string
	Path string // of its step; "" when that is not known
}

// UnresolvedKeys returns the keys of the calls that were taken up and of which the events of a run
// do not tell whether they happened.
func UnresolvedKeys(events []machine.Event) (keys []string) {
	known := func(key string) {
		keys = slices.DeleteFunc(keys, func(other string) bool { return other == key })
	}
	for _, event := range events {
		switch e := event.(type) {
		case machine.Taken:
			keys = append(keys, e.Key)
		case machine.Answered:
			if e.Outcome.Status != call.Unknown {
				known(e.Key)
			}
		case machine.Received:
			known(e.Receipt.Key)
		case machine.Settled:
			known(e.Key)
		}
	}
	return keys
}

// UnresolvedCalls returns the unresolved calls of a run. m is as much of its machine as could be
// rebuilt; nil: nothing.
func UnresolvedCalls(m *machine.Machine, events []machine.Event) (unresolved []UnresolvedCall) {
	for _, key := range UnresolvedKeys(events) {
		unresolved = append(unresolved, UnresolvedCall{Key: key})
	}
	if m == nil {
		return unresolved
	}
	for _, command := range m.Next() { // every command so far, including those that did not fit
		c, ok := command.(*machine.Call)
		if !ok {
			continue
		}
		if i := slices.IndexFunc(unresolved, func(d UnresolvedCall) bool { return d.Key == c.Key }); i >= 0 {
			unresolved[i].Path = c.Step
		}
	}
	return unresolved
}

// SettleUnresolved is Settle for a run that cannot be rebuilt. Where its steps are not known, step
// is the key of the call.
func SettleUnresolved(unresolved []UnresolvedCall, run, step string, s Settlement, at time.Time) (machine.Event, error) {
	var named []UnresolvedCall
	var all []string
	for _, d := range unresolved {
		if d.Key == step || d.Path != "" && MatchesStep(step, d.Path) {
			named = append(named, d)
		}
		all = append(all, strings.TrimSpace(d.Path+" "+d.Key))
	}
	if i := slices.IndexFunc(named, func(d UnresolvedCall) bool { return d.Path == step || d.Key == step }); i >= 0 {
		named = named[i : i+1]
	}
	switch {
	case len(unresolved) == 0:
		return nil, &StateError{Run: run, Reason: "none of its calls has an unknown outcome"}
	case len(named) != 1:
		return nil, &StateError{
			Run: run, Reason: fmt.Sprintf("its journal does not match its flow, and %s does not say which call is meant", step),
			Hint: "name the key of a call: " + strings.Join(all, ", "),
		}
	}
	return machine.Settled{At: at, Key: named[0].Key, Happened: s.Happened, ID: s.ID}, nil
}

// ReceiveUnresolved returns the event that applies a receipt to a run that cannot be rebuilt, nil
// if the outcome of the call is known already.
func ReceiveUnresolved(unresolved []UnresolvedCall, r call.Receipt, at time.Time) machine.Event {
	if !slices.ContainsFunc(unresolved, func(d UnresolvedCall) bool { return d.Key == r.Key }) {
		return nil
	}
	return machine.Received{At: at, Receipt: r}
}
