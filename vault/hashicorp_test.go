package vault_test

import (
	"testing"

	"facteur/vault/vaulttest"
)

func TestHashicorp(t *testing.T) {
	vaulttest.Exercise(t, func(t *testing.T) vaulttest.Target { return vaulttest.New(t).Target() })
}
