package main

import (
	"context"
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
)

// garbageAtOnce is how many bytes of garbage a daemon lets pile up before they are
// collected. Go itself lets it be as much as what is in use, which in a daemon of few runs
// is so little that a tenth of its work would be to collect it. Where more is in use than
// this, Go's rule is kept.
const garbageAtOnce = 64 << 20

// paceGC sets after each collection when the next one comes, until ctx ends. Who has set
// GOGC is obeyed.
func paceGC(ctx context.Context) {
	if os.Getenv("GOGC") != "" {
		return
	}
	live := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	var pace func(int)
	pace = func(int) {
		if ctx.Err() != nil {
			debug.SetGCPercent(100)
			return
		}
		metrics.Read(live)
		debug.SetGCPercent(max(100, int(garbageAtOnce*100/max(live[0].Value.Uint64(), 1<<20))))
		next := new([64]byte) // nobody holds it, so that the next collection finds it
		runtime.AddCleanup(next, pace, 0)
	}
	pace(0)
}
