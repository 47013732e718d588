package temporal_test

import (
	"testing"

	"facteur/e2e/temporal"
)

func TestStart(t *testing.T) {
	s := temporal.Start(t)
	s.Namespace(t, "one")
}
