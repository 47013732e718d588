package graph

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"facteur/actions"
	"facteur/flow/schema"
)

// A usage is how much of its rate limits an answer says is used.
type usage struct {
	full   []string // what is used up, for people
	regain time.Duration
}

// A meter is a share of a limit that is used, in percent.
var meters = [...]string{"call_count", "total_cputime", "total_time"}

// fullAfter is how long to wait when the app is at its limit and Meta does not say for
// how long: the limit is of a sliding hour.
const fullAfter = 5 * time.Minute

// readUsage reads X-App-Usage, of the app, and X-Business-Use-Case-Usage, of each
// account, which also tells after how many minutes calls are taken again. What makes no
// sense is passed over.
func readUsage(h http.Header) (u usage) {
	app := headerJSON(h, "X-App-Usage")
	if u.meter("the app", app) {
		u.regain = fullAfter
	}
	accounts := headerJSON(h, "X-Business-Use-Case-Usage")
	for _, id := range accounts.Keys() {
		for _, use := range Many(accounts.Get(id)) {
			u.meter("account "+id, use)
			if minutes, ok := use.Get("estimated_time_to_regain_access").Number(); ok && minutes > 0 {
				u.regain = max(u.regain, time.Duration(min(minutes, 24*60)*float64(time.Minute)))
			}
		}
	}
	return u
}

func headerJSON(h http.Header, name string) schema.Value {
	v, _ := actions.DecodeJSON([]byte(h.Get(name)))
	return schema.NewValue(v, nil)
}

// meter notes what is used up.
func (u *usage) meter(whose string, v schema.Value) (full bool) {
	for _, name := range meters {
		if percent, ok := v.Get(name).Number(); ok && percent >= 100 {
			u.full = append(u.full, fmt.Sprintf("%s of %s at %.0f %%", name, whose, min(percent, 9999)))
			full = true
		}
	}
	return full
}

// UsedUp tells which rate limits an answer says are used up, for people; "" for none.
func UsedUp(answer http.Header) string {
	return strings.Join(slices.Compact(readUsage(answer).full), ", ")
}

// RetryAfter is how long an answer asks to wait: Retry-After in seconds or as a date, or what
// the usage of rate limits says. 0: it does not ask.
func RetryAfter(answer http.Header) time.Duration {
	d, _ := actions.RetryAfter(answer)
	return max(d, readUsage(answer).regain)
}
