// Command subject is a process that facteur/e2e/bench measures, or one that it measures
// against: the command starts it and tells it what to be.
package main

import (
	"fmt"
	"os"

	"facteur/e2e/bench/child"
)

func main() {
	if err := child.Serve(begin); err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}

func begin(s child.Setup) (*child.Subject, error) {
	switch s.As {
	case "simulator":
		return simulated(s)
	case "bare":
		return bare(s)
	case "durable":
		return durable(s)
	case "memory":
		return inMemory(s)
	case "stored":
		return asked(s, false)
	case "ended":
		return asked(s, true)
	case "hand", "limited":
		return byHand(s)
	case "temporal":
		return onTemporal(s)
	}
	return nil, fmt.Errorf("nobody knows how to be that")
}
