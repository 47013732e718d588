package main

import (
	"os"
	"runtime"
)

// spareProcessor lets Go think that there is one processor more, until undo. A goroutine that
// waits for the disk keeps its processor from others until Go takes it away, which Go thinks of
// less often than the journal's writer waits: of two processors, one did nothing for a third
// of the time. Where there is one alone, Go takes care of it. Who has set GOMAXPROCS is obeyed.
func spareProcessor() (undo func()) {
	before := runtime.GOMAXPROCS(0)
	if before == 1 || os.Getenv("GOMAXPROCS") != "" {
		return func() {}
	}
	runtime.GOMAXPROCS(before + 1)
	return func() { runtime.GOMAXPROCS(before) }
}
