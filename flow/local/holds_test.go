package local_test

import (
	"context"
	"encoding/json"
	"errors"
	"math/rand/v2"
	"runtime"
	"sync"
	"testing"

	"facteur/flow/host"
	"facteur/flow/journal"
	"facteur/flow/local"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A leisurely journal lets others go first before it says that a note is stored.
type leisurely struct{ journal.Journal }

func (l leisurely) Note(ctx context.Context, kind, name string, body json.RawMessage) error {
	err := l.Journal.Note(ctx, kind, name, body)
	for range rand.IntN(20) {
		runtime.Gosched()
	}
	return err
}

// Of two people of whom one pauses while the other resumes, one is the last: what holds calls
// back is what the next host finds.
func TestPauseAndResumeAtTheSameTime(t *testing.T) {
	j := leisurely{&journal.Memory{}}
	holds := func(h *local.Host) int {
		all, err := h.Holds(t.Context())
		require.NoError(t, err)
		return len(all)
	}
	for range 300 {
		h := open(t, local.Options{Journal: j})
		var both sync.WaitGroup
		both.Go(func() { assert.NoError(t, h.Pause(t.Context(), host.Connection, "shop", "")) })
		both.Go(func() {
			var missing *host.NotFoundError
			if err := h.Resume(t.Context(), host.Connection, "shop"); !errors.As(err, &missing) {
				assert.NoError(t, err)
			}
		})
		both.Wait()
		before := holds(h)
		require.NoError(t, h.Stop(t.Context()))
		h = open(t, local.Options{Journal: j})
		require.Equal(t, before, holds(h))
		require.NoError(t, h.Stop(t.Context()))
	}
}
