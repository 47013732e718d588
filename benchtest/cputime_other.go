//go:build !unix

package benchtest

import "time"

// CPUTime returns 0: it is not known on this system.
func CPUTime() time.Duration { return 0 }
