package vault_test

import (
	"fmt"
	"strings"
	"sync/atomic"
	"testing"

	"facteur/e2e"
	server "facteur/e2e/vault"
	"facteur/vault"
	"facteur/vault/vaulttest"

	"github.com/hashicorp/vault/api"
)

func TestMain(m *testing.M) { e2e.Main(m) }

// TestExercise runs the conformance tests of the fake against the real server.
func TestExercise(t *testing.T) {
	vaulttest.Exercise(t, func(t *testing.T) vaulttest.Target { return target(t, server.Start(t)) })
}

func target(t *testing.T, s *server.Server) vaulttest.Target {
	grant := func(t testing.TB, modest bool, rules ...vaulttest.Rule) string {
		name := fmt.Sprint("policy-", policies.Add(1))
		s.Policy(t, name, hcl(rules...))
		return s.Token(t, api.TokenCreateRequest{Policies: []string{name}, NoDefaultPolicy: modest})
	}
	rules := func(can string) []vaulttest.Rule {
		return []vaulttest.Rule{{Path: "kv/data/facteur/*", Can: can}, {Path: "kv1/facteur/*", Can: can}, {Path: "kv1/data/facteur/*", Can: can}}
	}
	s.Policy(t, "facteur", hcl(rules("read create update delete")...))
	roleID := s.Role(t, "facteur", map[string]any{"token_policies": "facteur"})
	return vaulttest.Target{
		Address: s.Address, KV2: server.KV2, KV1: server.KV1,
		Token:    grant(t, false, rules("read create update delete")...),
		ReadOnly: grant(t, false, rules("read")...),
		AppRole:  vault.AppRole{RoleID: roleID, SecretID: vault.NewSecret(s.SecretID(t, "facteur", nil))},
		Grant:    grant,
		Put:      s.Put,
		Get:      s.Get,
		Revoke:   s.Revoke,
		Upgrade:  s.Upgrade,
		Seal: func(t testing.TB, sealed bool) {
			if sealed {
				s.Seal(t)
			} else {
				s.Unseal(t)
			}
		},
	}
}

var policies atomic.Int32

// hcl formats rules as a policy.
func hcl(rules ...vaulttest.Rule) string {
	var b strings.Builder
	for _, r := range rules {
		fmt.Fprintf(&b, "path %q { capabilities = [\"%s\"] }\n", r.Path, strings.Join(strings.Fields(r.Can), `", "`))
	}
	return b.String()
}
