package vault_test

import (
	"testing"

	"facteur/vault"

	"github.com/stretchr/testify/require"
)

// What a backend says of a connection is its answer; that it cannot be asked is none.
func TestUnreadable(t *testing.T) {
	for reason, want := range map[vault.Reason]bool{
		vault.Down: true, vault.Slow: true, vault.Sealed: true, vault.DNS: true, vault.TLS: true, vault.BadLogin: true, vault.BadAnswer: true,
		vault.Exposed: true, vault.NoKey: true, vault.WrongKey: true, vault.Corrupt: true, vault.Unusable: true,
		vault.Denied: false, vault.NotFound: false, vault.Conflict: false, vault.ReadOnly: false, vault.Misconfigured: false,
	} {
		e := &vault.BackendError{Reason: reason}
		require.Equal(t, want, e.Unreadable(), reason)
		require.True(t, want || !e.Temporary(), reason)
	}
}
