package temporal

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"facteur/flow/call"
	"facteur/flow/host"
	"facteur/flow/machine"
	"facteur/flow/machine/stored"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"
)

// A run is told only of receipts that it has a use for: each one costs the server as much
// as a call. Which calls those are is a search attribute, and who receives looks there
// first. A receipt that came before the attribute was written is not lost, because the run
// asks for past ones by an activity, which is made only once the attribute is there.

const (
	// anyNews stands for more calls than the attribute holds.
	anyNews = "*"
	// mostNews bounds it, in bytes.
	mostNews = 200
	// pastPause is when receipts are asked for again that could not be had.
	pastPause = 10 * time.Second
)

// wanted are the keys of calls of which news matters. Those under way are not among them:
// they matter once they have an outcome.
func (r *runner) wanted() []string {
	return slices.DeleteFunc(host.OpenCalls(r.m), func(key string) bool { return r.made[key] != nil })
}

// newsOf writes keys as the attribute has them: the numbers of the calls.
func newsOf(keys []string) string {
	var b strings.Builder
	for _, key := range keys {
		if b.Len() > 0 {
			b.WriteByte(',')
		}
		b.WriteString(strconv.Itoa(call.NumberOf(key)))
		if b.Len() > mostNews {
			return anyNews
		}
	}
	return b.String()
}

// isNews tells whether the attribute names a call.
func isNews(news, key string) bool {
	n := call.NumberOf(key)
	return n > 0 && (news == anyNews || slices.Contains(strings.Split(news, ","), strconv.Itoa(n)))
}

// look brings the receipts of a call that came so far.
func (r *runner) look(key string) {
	if !r.in.Past || r.looked[key] {
		return
	}
	r.looked[key] = true
	r.past(key, func(had bool) {
		if !had {
			r.sel.AddFuture(workflow.NewTimer(r.ctx, pastPause), func(workflow.Future) {
				delete(r.looked, key) // it is looked for again if it still matters
			})
		}
	})
}

// past brings the receipts of a call that came so far, and then tells whether they could be had.
func (r *runner) past(key string, then func(had bool)) {
	r.beside++
	once := workflow.WithActivityOptions(r.ctx, workflow.ActivityOptions{StartToCloseTimeout: 15 * time.Second, RetryPolicy: &temporal.RetryPolicy{MaximumAttempts: 3}})
	r.sel.AddFuture(workflow.ExecuteActivity(once, pastActivity, key, r.started), func(f workflow.Future) {
		r.beside--
		var list []stored.Receipt
		err := f.Get(r.ctx, &list)
		for _, receipt := range list {
			r.apply(machine.Received{At: r.now(), Receipt: receipt.Receipt()})
		}
		then(err == nil)
	})
}

// lookFirst brings the receipts of earlier calls of a step, of which the run may not have been
// told, and then lets the next one go on, if it is still wanted.
func (r *runner) lookFirst(c *machine.Call) {
	switch {
	case !r.m.Wants(c):
	case len(c.Doubtful) == 0:
		r.line = append(r.line, c)
	default:
		r.past(c.Doubtful[0], func(had bool) {
			if had {
				c.Doubtful = c.Doubtful[1:]
				r.lookFirst(c)
				return
			}
			r.sel.AddFuture(workflow.NewTimer(r.ctx, pastPause), func(workflow.Future) { r.lookFirst(c) })
		})
	}
}

// lookAll looks for news of the calls that have begun to matter.
func (r *runner) lookAll() {
	for _, key := range r.wanted() {
		r.look(key)
	}
}
