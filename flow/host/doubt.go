package host

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"facteur/flow/call"
	"facteur/flow/machine"
)

// A Doubt is a call of a run that cannot be rebuilt, of which its record does not say what
// became.
type Doubt struct {
	Key  string
	Path string // of its step, "" when that is not known
}

// Unanswered returns the keys of the calls that were taken up, and of which the events of
// a run do not say whether they happened.
func Unanswered(events []machine.Event) (keys []string) {
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

// Doubts returns those of a run, of which m is as much as could be rebuilt; nil: nothing.
func Doubts(m *machine.Machine, events []machine.Event) (doubts []Doubt) {
	for _, key := range Unanswered(events) {
		doubts = append(doubts, Doubt{Key: key})
	}
	if m == nil {
		return doubts
	}
	for _, command := range m.Next() { // all that it ever wanted, also what did not fit
		c, ok := command.(*machine.Call)
		if !ok {
			continue
		}
		if i := slices.IndexFunc(doubts, func(d Doubt) bool { return d.Key == c.Key }); i >= 0 {
			doubts[i].Path = c.Step
		}
	}
	return doubts
}

// SettleDoubt is Settle for a run that cannot be rebuilt. Its steps may not be known: then
// the key of the call stands for them.
func SettleDoubt(doubts []Doubt, run, step string, s Settlement, at time.Time) (machine.Event, error) {
	var named []Doubt
	var all []string
	for _, d := range doubts {
		if d.Key == step || d.Path != "" && Names(step, d.Path) {
			named = append(named, d)
		}
		all = append(all, strings.TrimSpace(d.Path+" "+d.Key))
	}
	if i := slices.IndexFunc(named, func(d Doubt) bool { return d.Path == step || d.Key == step }); i >= 0 {
		named = named[i : i+1]
	}
	switch {
	case len(doubts) == 0:
		return nil, &StateError{Run: run, Reason: "the outcome of none of its calls is unknown"}
	case len(named) != 1:
		return nil, &StateError{
			Run: run, Reason: fmt.Sprintf("its journal does not fit, and %s does not say which call is meant", step),
			Hint: "name the key of a call: " + strings.Join(all, ", "),
		}
	}
	return machine.Settled{At: at, Key: named[0].Key, Happened: s.Happened, ID: s.ID}, nil
}

// ReceiveDoubt returns the event that news of a call is to a run that cannot be rebuilt,
// nil when it is known already what became of the call.
func ReceiveDoubt(doubts []Doubt, r call.Receipt, at time.Time) machine.Event {
	if !slices.ContainsFunc(doubts, func(d Doubt) bool { return d.Key == r.Key }) {
		return nil
	}
	return machine.Received{At: at, Receipt: r}
}
