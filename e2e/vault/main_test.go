package vault_test

import (
	"testing"

	"facteur/e2e"
)

func TestMain(m *testing.M) { e2e.Main(m) }
