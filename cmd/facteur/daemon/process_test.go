package daemon

import (
	"context"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
)

// A daemon that comes to rest gives its memory back once, and again after more work.
func TestGiveBack(t *testing.T) {
	given := func() uint32 {
		var s runtime.MemStats
		runtime.ReadMemStats(&s)
		return s.NumForcedGC
	}
	synctest.Test(t, func(t *testing.T) {
		ctx, end := context.WithCancel(t.Context())
		defer end()
		before := given()
		after := func(work int) uint32 {
			hold := make([]byte, work)
			time.Sleep(idleAfter)
			synctest.Wait()
			runtime.KeepAlive(hold)
			return given() - before
		}
		go freeIdleMemory(ctx)
		assert.EqualValues(t, 0, after(2*idleGarbage), "it works")
		assert.EqualValues(t, 1, after(0), "it has come to rest")
		assert.EqualValues(t, 1, after(0), "there is no more to give")
		assert.EqualValues(t, 1, after(2*idleGarbage))
		assert.EqualValues(t, 2, after(1<<10))
		end()
		assert.EqualValues(t, 2, after(0))
	})
}
