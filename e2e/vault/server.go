// Package vault runs a real HashiCorp Vault, the open-source server, in the process of a
// test: see Start.
package vault

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	kv "github.com/hashicorp/vault-plugin-secrets-kv"
	"github.com/hashicorp/vault/api"
	"github.com/hashicorp/vault/builtin/credential/approle"
	"github.com/hashicorp/vault/helper/testhelpers/corehelpers"
	vaulthttp "github.com/hashicorp/vault/http"
	"github.com/hashicorp/vault/internalshared/configutil"
	"github.com/hashicorp/vault/sdk/logical"
	"github.com/hashicorp/vault/sdk/physical"
	"github.com/hashicorp/vault/sdk/physical/inmem"
	core "github.com/hashicorp/vault/vault"
	"github.com/stretchr/testify/require"
)

// Version is that of the server.
const Version = "1.21.4"

// The mounts of a new server.
const (
	KV2     = "kv"
	KV1     = "kv1"
	AppRole = "approle"
)

// A Server is a Vault with its storage in memory. Its methods may be called at any time.
type Server struct {
	Address string // http://127.0.0.1:…
	Root    string // a token that may do everything

	storage physical.Backend
	key     []byte
	http    *http.Server

	mu    sync.Mutex
	core  *core.Core
	asked []string
}

// Start starts an unsealed server that ends with the test.
func Start(t testing.TB) *Server {
	t.Helper()
	storage, err := inmem.NewInmem(nil, hclog.NewNullLogger())
	require.NoError(t, err)
	s := &Server{storage: storage, Address: "http://127.0.0.1:0"}
	s.start(t)
	t.Cleanup(func() { s.Stop(t) })

	init, err := s.core.Initialize(context.Background(), &core.InitParams{
		BarrierConfig:  &core.SealConfig{SecretShares: 1, SecretThreshold: 1},
		RecoveryConfig: &core.SealConfig{SecretShares: 1, SecretThreshold: 1},
	})
	require.NoError(t, err)
	s.key, s.Root = init.SecretShares[0], init.RootToken
	s.Unseal(t)
	s.mount(t)
	return s
}

// mount adds the engines and the auth method.
func (s *Server) mount(t testing.TB) {
	sys := s.Client(t).Sys()
	require.NoError(t, sys.Mount(KV1, &api.MountInput{Type: "kv", Options: map[string]string{"version": "1"}}))
	require.NoError(t, sys.Mount(KV2, &api.MountInput{Type: "kv", Options: map[string]string{"version": "2"}}))
	require.NoError(t, sys.EnableAuthWithOptions(AppRole, &api.EnableAuthOptions{Type: "approle"}))
	// A new engine of version 2 answers with 400 until it has prepared its storage.
	s.Put(t, KV2, "ready", map[string]any{"yes": "yes"})
}

// start opens the storage and listens at the address.
func (s *Server) start(t testing.TB) {
	t.Helper()
	c, err := core.NewCore(&core.CoreConfig{
		Physical:           s.storage,
		LogicalBackends:    map[string]logical.Factory{"kv": kv.Factory},
		CredentialBackends: map[string]logical.Factory{"approle": approle.Factory},
		BuiltinRegistry:    corehelpers.NewMockBuiltinRegistry(),
		DisableMlock:       true,
		Logger:             hclog.NewNullLogger(),
	})
	require.NoError(t, err)
	handler := vaulthttp.Handler.Handler(&core.HandlerProperties{Core: c, ListenerConfig: &configutil.Listener{}})
	listener, err := net.Listen("tcp", strings.TrimPrefix(s.Address, "http://"))
	require.NoError(t, err)
	s.Address = "http://" + listener.Addr().String()
	s.mu.Lock()
	s.core = c
	s.mu.Unlock()
	s.http = &http.Server{Handler: s.listen(handler)}
	go s.http.Serve(listener)
}

// listen records the requests.
func (s *Server) listen(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		s.asked = append(s.asked, r.Method+" "+strings.TrimPrefix(r.URL.Path, "/v1/"))
		s.mu.Unlock()
		next.ServeHTTP(w, r)
	})
}

// Requests returns the requests since the last ResetRequests, in order, e.g. "GET kv/data/shop".
func (s *Server) Requests() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.asked...)
}

// ResetRequests clears the recorded requests.
func (s *Server) ResetRequests() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked = nil
}

// Stop stops the server. The storage stays.
func (s *Server) Stop(t testing.TB) {
	t.Helper()
	if s.http == nil {
		return
	}
	s.http.Close()
	s.http = nil
	require.NoError(t, s.core.Shutdown())
}

// Restart starts a stopped server again, at the same address, with the same storage: it is
// sealed.
func (s *Server) Restart(t testing.TB) {
	t.Helper()
	s.Stop(t)
	s.start(t)
}

// Seal seals the server.
func (s *Server) Seal(t testing.TB) {
	t.Helper()
	require.NoError(t, s.core.Seal(s.Root))
}

// Unseal unseals the server.
func (s *Server) Unseal(t testing.TB) {
	t.Helper()
	unsealed, err := s.core.Unseal(append([]byte(nil), s.key...))
	require.NoError(t, err)
	if !unsealed {
		t.Fatal("the server stays sealed")
	}
}

// Client returns a client with the root token.
func (s *Server) Client(t testing.TB) *api.Client {
	t.Helper()
	c, err := api.NewClient(&api.Config{Address: s.Address})
	require.NoError(t, err)
	c.SetToken(s.Root)
	c.ClearNamespace()
	return c
}

// Put stores a secret with the root token.
func (s *Server) Put(t testing.TB, mount, path string, data map[string]any) {
	t.Helper()
	ctx, c := context.Background(), s.Client(t)
	if mount == KV1 {
		require.NoError(t, c.KVv1(mount).Put(ctx, path, data))
		return
	}
	for {
		_, err := c.KVv2(mount).Put(ctx, path, data)
		if err == nil {
			return
		}
		if !strings.Contains(err.Error(), "Upgrading from non-versioned to versioned") {
			require.NoError(t, err)
		}
		time.Sleep(time.Millisecond)
	}
}

// Get returns what is stored; nil if there is nothing or it was deleted.
func (s *Server) Get(t testing.TB, mount, path string) map[string]any {
	t.Helper()
	ctx, c := context.Background(), s.Client(t)
	var secret *api.KVSecret
	var err error
	if mount == KV1 {
		secret, err = c.KVv1(mount).Get(ctx, path)
	} else {
		secret, err = c.KVv2(mount).Get(ctx, path)
	}
	if errors.Is(err, api.ErrSecretNotFound) {
		return nil
	}
	require.NoError(t, err)
	return secret.Data
}

// Upgrade makes version 2 of the engine KV1. It takes a moment.
func (s *Server) Upgrade(t testing.TB) {
	t.Helper()
	require.NoError(t, s.Client(t).Sys().TuneMount(KV1, api.MountConfigInput{Options: map[string]string{"version": "2"}}))
}

// Policy writes a policy in HCL.
func (s *Server) Policy(t testing.TB, name, hcl string) {
	t.Helper()
	require.NoError(t, s.Client(t).Sys().PutPolicy(name, hcl))
}

// Token creates a token: api.TokenCreateRequest{Policies: …, TTL: "1h"}.
func (s *Server) Token(t testing.TB, r api.TokenCreateRequest) string {
	t.Helper()
	r.NoParent = true
	secret, err := s.Client(t).Auth().Token().Create(&r)
	require.NoError(t, err)
	return secret.Auth.ClientToken
}

// Role creates an AppRole, with the parameters of the API such as token_policies and
// token_ttl, and returns its role ID.
func (s *Server) Role(t testing.TB, name string, parameters map[string]any) (roleID string) {
	t.Helper()
	s.write(t, "auth/approle/role/"+name, parameters)
	secret, err := s.Client(t).Logical().Read("auth/approle/role/" + name + "/role-id")
	require.NoError(t, err)
	return fmt.Sprint(secret.Data["role_id"])
}

// SecretID issues a secret ID of an AppRole, with parameters such as num_uses.
func (s *Server) SecretID(t testing.TB, role string, parameters map[string]any) string {
	t.Helper()
	return fmt.Sprint(s.write(t, "auth/approle/role/"+role+"/secret-id", parameters).Data["secret_id"])
}

// DestroySecretID invalidates a secret ID.
func (s *Server) DestroySecretID(t testing.TB, role, secretID string) {
	t.Helper()
	s.write(t, "auth/approle/role/"+role+"/secret-id/destroy", map[string]any{"secret_id": secretID})
}

// Revoke revokes the tokens that the AppRole auth method issued.
func (s *Server) Revoke(t testing.TB) {
	t.Helper()
	require.NoError(t, s.Client(t).Sys().RevokePrefix("auth/"+AppRole+"/login"))
}

func (s *Server) write(t testing.TB, path string, data map[string]any) *api.Secret {
	t.Helper()
	secret, err := s.Client(t).Logical().Write(path, data)
	require.NoError(t, err)
	return secret
}
