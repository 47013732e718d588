//go:build !unix

package benchtest

import "time"

// Processor is 0: the system does not tell what this process has used so far.
func Processor() time.Duration { return 0 }
