// Package vaulttest stands in for a HashiCorp Vault server in tests: [New]
// starts one that answers the requests of package vault as a real one does, and
// records them. [Exercise] is the conformance suite that any server must pass,
// this one and a real one.
package vaulttest

import (
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// The mounts of a new server.
const (
	KV2     = "kv"      // key-value engine, version 2
	KV1     = "kv1"     // key-value engine, version 1
	AppRole = "approle" // auth method
)

// Root is a token that may do everything and never expires.
const Root = "hvs.root-of-the-fake-vault"

// A Server is a fake HashiCorp Vault. Its methods may be called at any time.
type Server struct {
	Address string
	CACert  string // a PEM file, with NewTLS

	http *httptest.Server

	mu        sync.Mutex
	now       time.Time
	namespace string
	sealed    bool
	upgraded  bool             // the engine of version 1 became one of version 2
	handler   http.HandlerFunc // instead of the vault's own
	secretsV2 map[string][]version
	secretsV1 map[string]map[string]any
	tokens    map[string]*token
	roles     map[string]*Role
	issued    int
	requests  []string
}

type version struct {
	data    map[string]any // nil when it was deleted
	written time.Time
	deleted time.Time
}

// A Role is what an AppRole login yields. Zero durations are those of the
// real server's defaults: the token lives for 32 days.
type Role struct {
	RoleID, SecretID string
	Rules            []Rule
	TTL, MaxTTL      time.Duration
	NotRenewable     bool // as batch tokens are
}

// A Rule allows what it names and nothing else. A path that ends in * is a prefix.
type Rule struct {
	Path string
	Can  string // of "read create update patch delete", or "all"
}

type token struct {
	rules     []Rule
	issued    time.Time
	expires   time.Time // zero: never
	ttl, max  time.Duration
	renewable bool
	noDefault bool
}

// New starts a server that ends with the test.
func New(t testing.TB) *Server {
	s := newServer()
	s.http = httptest.NewServer(s)
	s.Address = s.http.URL
	t.Cleanup(s.http.Close)
	return s
}

// NewTLS starts a server with a certificate whose authority is in CACert.
func NewTLS(t testing.TB) *Server {
	s := newServer()
	s.http = httptest.NewUnstartedServer(s)
	s.http.Config.ErrorLog = log.New(io.Discard, "", 0) // of handshakes that a test lets fail
	s.http.StartTLS()
	s.Address = s.http.URL
	s.CACert = filepath.Join(t.TempDir(), "ca.pem")
	block := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.http.Certificate().Raw})
	if err := os.WriteFile(s.CACert, block, 0o600); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.http.Close)
	return s
}

func newServer() *Server {
	s := &Server{
		now:       time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC),
		secretsV2: map[string][]version{},
		secretsV1: map[string]map[string]any{},
		tokens:    map[string]*token{},
		roles:     map[string]*Role{},
	}
	s.tokens[Root] = &token{rules: []Rule{{Path: "*", Can: "all"}}}
	return s
}

// Stop ends the server before the test ends.
func (s *Server) Stop() { s.http.Close() }

// Put stores a secret.
func (s *Server) Put(mount, path string, data map[string]any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.put(mount, path, data)
}

func (s *Server) put(mount, path string, data map[string]any) {
	if mount == KV1 {
		s.secretsV1[path] = maps.Clone(data)
		return
	}
	s.secretsV2[path] = append(s.secretsV2[path], version{data: maps.Clone(data), written: s.now})
}

// Get returns what is stored; nil if there is nothing or it was deleted.
func (s *Server) Get(mount, path string) map[string]any {
	s.mu.Lock()
	defer s.mu.Unlock()
	if mount == KV1 {
		return maps.Clone(s.secretsV1[path])
	}
	if v := s.secretsV2[path]; len(v) > 0 {
		return maps.Clone(v[len(v)-1].data)
	}
	return nil
}

// Token issues a token. With a ttl of zero it never expires; otherwise it can be
// renewed, until max from now if max is not zero.
func (s *Server) Token(ttl, max time.Duration, rules ...Rule) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.issue(&token{rules: rules, ttl: ttl, max: max, renewable: ttl > 0})
}

func (s *Server) issue(t *token) string {
	s.issued++
	name := fmt.Sprintf("hvs.token-%d-of-the-fake-vault", s.issued)
	t.issued = s.now
	if t.ttl > 0 {
		t.expires = s.now.Add(t.ttl)
	}
	s.tokens[name] = t
	return name
}

// AddRole makes a role that logs in with the IDs in it.
func (s *Server) AddRole(r Role) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.roles[r.RoleID] = &r
}

// WithoutDefaultPolicy removes from a token what the default policy allows:
// lookup-self and renew-self.
func (s *Server) WithoutDefaultPolicy(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tokens[name].noDefault = true
}

// Revoke ends all tokens but Root.
func (s *Server) Revoke() {
	s.mu.Lock()
	defer s.mu.Unlock()
	maps.DeleteFunc(s.tokens, func(name string, _ *token) bool { return name != Root })
}

// Seal seals the server or unseals it.
func (s *Server) Seal(sealed bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sealed = sealed
}

// Upgrade turns the engine of version 1 into one of version 2.
func (s *Server) Upgrade() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.upgraded = true
	for path, data := range s.secretsV1 {
		s.put(KV2, path, data)
	}
}

// RequireNamespace answers only requests for that namespace.
func (s *Server) RequireNamespace(namespace string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.namespace = namespace
}

// Handle has h answer every request; nil restores the vault. A handler that
// waits for the request's context to end is a slow server.
func (s *Server) Handle(h http.HandlerFunc) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.handler = h
}

// Advance moves the server's clock, by which tokens expire.
func (s *Server) Advance(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.now = s.now.Add(d)
}

// Count returns the number of requests for a path: Count("GET", "kv/data/shop").
func (s *Server) Count(method, path string) int {
	n := 0
	for _, a := range s.Requests() {
		if a == method+" "+path {
			n++
		}
	}
	return n
}

// Requests returns the requests in order, each as "GET kv/data/shop".
func (s *Server) Requests() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.requests)
}

// ResetRequests drops the recorded requests.
func (s *Server) ResetRequests() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.requests = nil
}

// ServeHTTP answers one request.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	path := strings.TrimPrefix(r.URL.Path, "/v1/")
	s.mu.Lock()
	s.requests = append(s.requests, r.Method+" "+path)
	if answer := s.handler; answer != nil {
		s.mu.Unlock()
		answer(w, r)
		return
	}
	defer s.mu.Unlock()
	switch {
	case s.sealed:
		fail(w, http.StatusServiceUnavailable, "Vault is sealed")
	case r.Header.Get("X-Vault-Request") != "true":
		fail(w, http.StatusPreconditionFailed, "missing required header X-Vault-Request")
	case strings.Trim(r.Header.Get("X-Vault-Namespace"), "/") != s.namespace:
		// A real server does not find the token in that namespace.
		fail(w, http.StatusForbidden, "permission denied")
	case path == "auth/"+AppRole+"/login":
		s.login(w, r)
	default:
		s.authorized(w, r, path)
	}
}

func (s *Server) login(w http.ResponseWriter, r *http.Request) {
	var in struct {
		RoleID   string `json:"role_id"`
		SecretID string `json:"secret_id"`
	}
	if err := json.NewDecoder(r.Body).Decode(&in); err != nil {
		fail(w, http.StatusBadRequest, "failed to parse JSON input: "+err.Error())
		return
	}
	role := s.roles[in.RoleID]
	if role == nil || role.SecretID != in.SecretID {
		fail(w, http.StatusBadRequest, "invalid role or secret ID")
		return
	}
	t := &token{rules: role.Rules, ttl: role.TTL, max: role.MaxTTL, renewable: !role.NotRenewable}
	if t.ttl == 0 {
		t.ttl = 32 * 24 * time.Hour
	}
	name := s.issue(t)
	reply(w, map[string]any{"auth": s.auth(name, t)})
}

// auth is the block "auth" of the answers to a login and a renewal.
func (s *Server) auth(name string, t *token) map[string]any {
	return map[string]any{
		"client_token": name, "accessor": "accessor", "policies": []string{"default", "facteur"},
		"token_policies": []string{"default", "facteur"}, "metadata": map[string]any{"role_name": "facteur"},
		"lease_duration": int(t.expires.Sub(s.now) / time.Second), "renewable": t.renewable,
		"entity_id": "", "token_type": "service", "orphan": true, "mfa_requirement": nil, "num_uses": 0,
	}
}

func (s *Server) authorized(w http.ResponseWriter, r *http.Request, path string) {
	name := r.Header.Get("X-Vault-Token")
	t := s.tokens[name]
	if t == nil || !t.expires.IsZero() && !s.now.Before(t.expires) {
		fail(w, http.StatusForbidden, "2 errors occurred:\n\t* permission denied\n\t* invalid token\n\n")
		return
	}
	mount, rest, _ := strings.Cut(path, "/")
	switch {
	case path == "auth/token/lookup-self" && r.Method == http.MethodGet && !t.noDefault:
		s.lookup(w, name, t)
	case path == "auth/token/renew-self" && r.Method == http.MethodPut && !t.noDefault:
		s.renew(w, name, t)
	case !t.may(s.capability(r.Method, path), path):
		fail(w, http.StatusForbidden, "1 error occurred:\n\t* permission denied\n\n")
	case mount == KV2 || s.upgraded && mount == KV1:
		s.kv2(w, r, rest)
	case mount == KV1:
		s.kv1(w, r, rest)
	default:
		fail(w, http.StatusNotFound, fmt.Sprintf("no handler for route %q. route entry not found.", path))
	}
}

// capability returns what a policy must allow for a request.
func (s *Server) capability(method, path string) string {
	switch method {
	case http.MethodGet:
		return "read"
	case http.MethodPatch:
		return "patch"
	case http.MethodDelete:
		return "delete"
	}
	if _, v1 := s.secretsV1[strings.TrimPrefix(path, KV1+"/")]; v1 || s.secretsV2[strings.TrimPrefix(path, KV2+"/data/")] != nil {
		return "update"
	}
	return "create"
}

func (t *token) may(capability, path string) bool {
	return slices.ContainsFunc(t.rules, func(r Rule) bool {
		prefix, open := strings.CutSuffix(r.Path, "*")
		return (path == r.Path || open && strings.HasPrefix(path, prefix)) &&
			(r.Can == "all" || slices.Contains(strings.Fields(r.Can), capability))
	})
}

func (s *Server) lookup(w http.ResponseWriter, name string, t *token) {
	ttl := 0
	var expires any
	if !t.expires.IsZero() {
		ttl, expires = int(t.expires.Sub(s.now)/time.Second), t.expires
	}
	reply(w, map[string]any{"data": map[string]any{
		"id": name, "accessor": "accessor", "creation_time": t.issued.Unix(), "creation_ttl": int(t.ttl / time.Second),
		"display_name": "token", "entity_id": "", "expire_time": expires, "explicit_max_ttl": int(t.max / time.Second),
		"issue_time": t.issued, "meta": nil, "num_uses": 0, "orphan": true, "path": "auth/token/create",
		"policies": []string{"default", "facteur"}, "renewable": t.renewable, "ttl": ttl, "type": "service",
	}})
}

func (s *Server) renew(w http.ResponseWriter, name string, t *token) {
	if !t.renewable {
		fail(w, http.StatusBadRequest, "lease is not renewable")
		return
	}
	t.expires = s.now.Add(t.ttl)
	if last := t.issued.Add(t.max); t.max > 0 && t.expires.After(last) {
		t.expires = last
	}
	reply(w, map[string]any{"auth": s.auth(name, t)})
}

func decode(w http.ResponseWriter, r *http.Request, into any) bool {
	d := json.NewDecoder(r.Body)
	d.UseNumber()
	if err := d.Decode(into); err != nil {
		fail(w, http.StatusBadRequest, "failed to parse JSON input: "+err.Error())
		return false
	}
	return true
}

func reply(w http.ResponseWriter, fields map[string]any) { answer(w, http.StatusOK, fields) }

// answer writes fields in the envelope of every answer of Vault.
func answer(w http.ResponseWriter, status int, fields map[string]any) {
	all := map[string]any{
		"request_id": "5b0c0a6e-0000-4000-8000-000000000000", "lease_id": "", "renewable": false, "lease_duration": 0,
		"data": nil, "wrap_info": nil, "warnings": nil, "auth": nil,
	}
	maps.Copy(all, fields)
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(all)
}

func fail(w http.ResponseWriter, status int, errors ...string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(map[string]any{"errors": append([]string{}, errors...)})
}
