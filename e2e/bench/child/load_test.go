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

// A load numbers what it does without gaps, counts what is unknown, and stops at an error.
func TestCarry(t *testing.T) {
	var mu sync.Mutex
	seen := map[int]bool{}
	l, err := child.Carry(child.Order{At: 4, For: 30 * time.Millisecond}, 100, func(n int) error {
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
	_, err = child.Carry(child.Order{At: 4, For: time.Hour}, 0, func(n int) error {
		if n == 10 {
			return broken
		}
		return nil
	})
	assert.ErrorIs(t, err, broken)
}
