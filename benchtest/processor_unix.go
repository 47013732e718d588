//go:build unix

package benchtest

import (
	"syscall"
	"time"
)

// Processor is the time that this process has used so far, on all processors, for itself and
// in the kernel: it hardly depends on what else the machine does. It is 0 where the system
// does not tell.
func Processor() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
