package child_test

import (
	"errors"
	"sync"
	"testing"
	"time"

	"facteur/e2e/bench/child"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// RunLoad numbers its calls without gaps, counts unknown outcomes, and stops at an error.
func TestCarry(t *testing.T) {
	var mu sync.Mutex
	seen := map[int]bool{}
	l, err := child.RunLoad(child.Request{Concurrency: 4, Duration: 30 * time.Millisecond}, 100, func(n int) error {
		mu.Lock()
		defer mu.Unlock()
		assert.False(t, seen[n], n)
		seen[n] = true
		if n == 101 {
			return child.ErrUnknown
		}
		return nil
	})
	require.NoError(t, err)
	assert.Equal(t, len(seen), l.Runs)
	assert.Equal(t, 1, l.Unknown)
	for n := range l.Runs {
		assert.True(t, seen[100+n], n)
	}

	broken := errors.New("broken")
	_, err = child.RunLoad(child.Request{Concurrency: 4, Duration: time.Hour}, 0, func(n int) error {
		if n == 10 {
			return broken
		}
		return nil
	})
	assert.ErrorIs(t, err, broken)
}
