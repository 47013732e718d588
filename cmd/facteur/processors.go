package main

import (
	"os"
	"runtime"
)

// spareProcessor lets Go think that there is one processor more, until undo. A goroutine that
// waits for the disk keeps its processor from others until Go takes it away, which Go thinks of
// less often than the journal's writer waits: of two processors, one did nothing for a third
// of the time. Who has set GOMAXPROCS is obeyed.
func spareProcessor() (undo func()) {
	if os.Getenv("GOMAXPROCS") != "" {
		return func() {}
	}
	before := runtime.GOMAXPROCS(0)
	runtime.GOMAXPROCS(before + 1)
	return func() { runtime.GOMAXPROCS(before) }
}
