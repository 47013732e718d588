package daemon

import (
	"context"
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"time"

	"facteur/flow/host"
)

// heapAtWork is how much memory a daemon at work has in use, with its garbage, when that is
// collected. Go itself lets garbage be as much as what is in use besides it, which in a
// daemon of few runs is so little that a tenth of its work would be to collect it. Where half
// of this is in use, Go's rule is kept. More would save 1 % of the work at most, and a daemon
// with 100,000 waiting runs would no longer stay below 250 MB.
const heapAtWork = 144 << 20

// Tune sets Go's collector and its processors for a process that is a daemon, until ctx ends
// and undo is called. Who has set GOGC or GOMAXPROCS is obeyed.
func Tune(ctx context.Context) (undo func()) {
	paceGC(ctx)
	return spareProcessor()
}

// paceGC sets after each collection when the next one comes, and gives back at rest what
// work has left, until ctx ends.
func paceGC(ctx context.Context) {
	if os.Getenv("GOGC") != "" {
		return
	}
	// What Go takes a percentage of.
	base := []metrics.Sample{{Name: "/gc/heap/live:bytes"}, {Name: "/gc/scan/stack:bytes"}, {Name: "/gc/scan/globals:bytes"}}
	var pace func(int)
	pace = func(int) {
		if ctx.Err() != nil {
			debug.SetGCPercent(100)
			return
		}
		metrics.Read(base)
		used := 0
		for _, s := range base {
			used += int(s.Value.Uint64())
		}
		used = max(used, 4<<20) // below, Go takes the percentage of this
		debug.SetGCPercent(max(100, (heapAtWork-used)*100/used))
		next := new([64]byte) // nobody holds it, so that the next collection finds it
		runtime.AddCleanup(next, pace, 0)
	}
	pace(0)
	go giveBack(ctx)
}

const (
	rest       = 20 * time.Second // that is how long a daemon has been at rest
	madeAtRest = 8 << 20          // when it made no more garbage than this meanwhile
)

// giveBack gives memory back to the system whenever a daemon comes to rest: its garbage
// would stay until more of it is made.
func giveBack(ctx context.Context) {
	made := []metrics.Sample{{Name: "/gc/heap/allocs:bytes"}}
	given := false
	for before := uint64(0); host.Sleep(ctx, rest); before = made[0].Value.Uint64() {
		metrics.Read(made)
		switch isAtRest := made[0].Value.Uint64()-before < madeAtRest; {
		case !isAtRest:
			given = false
		case !given:
			debug.FreeOSMemory()
			given = true
		}
	}
}

// spareProcessor lets Go think that there is one processor more, until undo. A goroutine that
// waits for the disk keeps its processor from others until Go takes it away, which Go thinks of
// less often than the journal's writer waits: of two processors, one did nothing for a third
// of the time. Where there is one alone, Go takes care of it.
func spareProcessor() (undo func()) {
	before := runtime.GOMAXPROCS(0)
	if before == 1 || os.Getenv("GOMAXPROCS") != "" {
		return func() {}
	}
	runtime.GOMAXPROCS(before + 1)
	return func() { runtime.GOMAXPROCS(before) }
}
