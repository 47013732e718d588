package ledger

import (
	"context"
	"slices"

	"facteur/actions/whatsapp"
)

// Claim implements Ledger.
func (l *Memory) Claim(ctx context.Context, c whatsapp.Claim) (repeats string, err error) {
	if err := l.lock(ctx); err != nil {
		return "", err
	}
	defer l.mu.Unlock()
	now := l.now()
	who := l.contact(normalizeAll(c.Recipient))
	all := slices.Clone(who.claims[c.Key])
	for i, one := range all {
		if m := l.messages[l.calls[one.call]]; m != nil {
			all[i].message, all[i].state = m.ID, stateOf(string(m.State))
		}
	}
	v := decide(all, c, now)
	if !v.take {
		return v.repeats, v.err
	}
	kept := []claim{{call: c.Call, step: c.Step, at: now, until: now.Add(c.Within)}}
	for _, one := range who.claims[c.Key] {
		if one.freed = one.freed || one.call == v.free; !slices.Contains(v.drop, one.call) {
			kept = append(kept, one)
		}
	}
	who.claims[c.Key] = kept
	return "", nil
}

// Release implements Ledger.
func (l *Memory) Release(ctx context.Context, call string) error {
	if err := l.lock(ctx); err != nil {
		return err
	}
	defer l.mu.Unlock()
	l.release(call)
	return nil
}

// release releases the keys of a call that did not happen.
func (l *Memory) release(call string) {
	for _, c := range l.contacts {
		for _, claims := range c.claims {
			for i := range claims {
				if claims[i].call == call {
					claims[i].freed, claims[i].denied = true, true
				}
			}
		}
	}
}

// duplicateOf returns the call that holds a key that a call released, "" for none.
func (l *Memory) duplicateOf(call string) (duplicate string) {
	for _, c := range l.contacts {
		for _, claims := range c.claims {
			holder := slices.IndexFunc(claims, func(one claim) bool { return !one.freed })
			released := slices.ContainsFunc(claims, func(one claim) bool { return one.freed && one.call == call })
			if released && holder >= 0 && (duplicate == "" || claims[holder].call < duplicate) {
				duplicate = claims[holder].call
			}
		}
	}
	return duplicate
}

// mergeClaims merges the claims of one key by two contacts: of two by one call the later stays, and
// of two that hold the key the later does.
func mergeClaims(claims, others []claim) (all []claim) {
	both := slices.Concat(claims, others)
	slices.SortStableFunc(both, func(a, b claim) int { return b.at.Compare(a.at) })
	held := false
	for _, one := range both {
		if slices.ContainsFunc(all, func(later claim) bool { return later.call == one.call }) {
			continue
		}
		one.freed = one.freed || held
		held = held || !one.freed
		all = append(all, one)
	}
	return all
}
