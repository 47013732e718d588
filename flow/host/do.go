package host

import (
	"context"

	"facteur/flow/call"
)

// WithoutCancel returns do without the cancellation of its runs: a call of a cancelled run
// finishes, within its time-out, because the outcome of a request that is cut off is unknown. Only
// hard cancels calls.
func WithoutCancel(hard context.Context, do call.Do) call.Do {
	return func(_ context.Context, c call.Call) call.Outcome { return do(hard, c) }
}
