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

// targetHeap is the heap size, garbage included, at which the garbage collector starts. By default
// Go collects when the garbage is as large as the live heap, which in a daemon of few runs is so
// small that collecting would take a tenth of the CPU. From half of this size on, Go's default is
// kept. A larger target would save 1 % of the CPU at most, and a daemon with 100,000 waiting runs
// would no longer stay below 250 MB.
const targetHeap = 144 << 20

// Tune sets the garbage collector and GOMAXPROCS for a daemon, until ctx ends and undo is called.
// It leaves alone what GOGC or GOMAXPROCS set in the environment.
func Tune(ctx context.Context) (undo func()) {
	paceGC(ctx)
	return addProcessor()
}

// paceGC sets the GC percentage after each collection, and frees memory when the daemon is idle,
// until ctx ends.
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
		debug.SetGCPercent(max(100, (targetHeap-used)*100/used))
		next := new([64]byte) // unreachable, so that the next collection runs its cleanup
		runtime.AddCleanup(next, pace, 0)
	}
	pace(0)
	go freeIdleMemory(ctx)
}

const (
	idleAfter   = 20 * time.Second // a daemon is idle when in this time
	idleGarbage = 8 << 20          // it allocated less than this, in bytes
)

// freeIdleMemory returns memory to the system whenever the daemon becomes idle: otherwise garbage
// would stay until more is allocated.
func freeIdleMemory(ctx context.Context) {
	made := []metrics.Sample{{Name: "/gc/heap/allocs:bytes"}}
	given := false
	for before := uint64(0); host.Sleep(ctx, idleAfter); before = made[0].Value.Uint64() {
		metrics.Read(made)
		switch isAtRest := made[0].Value.Uint64()-before < idleGarbage; {
		case !isAtRest:
			given = false
		case !given:
			debug.FreeOSMemory()
			given = true
		}
	}
}

// addProcessor raises GOMAXPROCS by one, until undo. A goroutine that waits for the disk in a system
// call keeps its P until the runtime retakes it, which it does less often than the journal's writer
// waits: of two processors, one was idle a third of the time. With a single one, the runtime copes.
func addProcessor() (undo func()) {
	before := runtime.GOMAXPROCS(0)
	if before == 1 || os.Getenv("GOMAXPROCS") != "" {
		return func() {}
	}
	runtime.GOMAXPROCS(before + 1)
	return func() { runtime.GOMAXPROCS(before) }
}
