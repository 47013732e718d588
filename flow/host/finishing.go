package host

import (
	"context"

	"facteur/flow/call"
)

// Finishing makes calls that a cancelled run lets finish, within their time-out: what
// became of a request that is cut off, nobody knows. Only hard cuts them off.
func Finishing(hard context.Context, do call.Do) call.Do {
	return func(_ context.Context, c call.Call) call.Outcome { return do(hard, c) }
}
