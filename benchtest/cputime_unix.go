//go:build unix

package benchtest

import (
	"syscall"
	"time"
)

// CPUTime returns the CPU time of this process so far, in user and kernel mode. It hardly depends on
// what else the machine does. It is 0 where the system does not tell.
func CPUTime() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
