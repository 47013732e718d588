//go:build race

package simulator_test

// race tells that the race detector is on, which makes everything slow.
const race = true
