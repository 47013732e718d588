package child

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// CPU returns the user and system time that all threads of a process have used so far, as
// getrusage would tell the process itself.
func CPU(pid int) (time.Duration, error) {
	const sched = 2 // CPUCLOCK_SCHED of linux/posix-timers.h
	var t unix.Timespec
	if err := unix.ClockGettime(int32(^pid<<3|sched), &t); err != nil {
		return 0, fmt.Errorf("the processor time of process %d: %w", pid, err)
	}
	return time.Duration(t.Nano()), nil
}

// Memory returns the resident set size of a process, in bytes.
func Memory(pid int) (int64, error) { return memoryField(pid, "status", "VmRSS:") }

// SharedMemory returns the resident set size of a process, in bytes, of which what it shares with
// others counts in part.
func SharedMemory(pid int) (int64, error) { return memoryField(pid, "smaps_rollup", "Pss:") }

func memoryField(pid int, file, name string) (int64, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/%s", pid, file))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(text)) {
		if after, ok := strings.CutPrefix(line, name); ok {
			kb, err := strconv.ParseInt(strings.Fields(after)[0], 10, 64)
			return kb << 10, err
		}
	}
	return 0, fmt.Errorf("the memory of process %d is not told", pid)
}
