// Command subject is a process of facteur/e2e/bench, which starts it and tells it its role: a
// variant or the simulator.
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
		return startSimulator(s)
	case "bare":
		return bare(s)
	case "durable":
		return durable(s)
	case "memory":
		return inMemory(s)
	case "stored":
		return viaAPI(s, false)
	case "ended":
		return viaAPI(s, true)
	case "hand", "limited":
		return byHand(s)
	case "temporal":
		return onTemporal(s)
	}
	return nil, fmt.Errorf("nobody knows how to be that")
}
