package vault

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/vault/api"
	"github.com/hashicorp/vault/api/auth/approle"
)

// login is a session with a HashiCorp Vault server. It logs in on first use, renews
// its token when two thirds of its TTL are over, also without requests, and logs in
// again when the token cannot be renewed or is refused.
type login struct {
	cfg         Hashicorp
	client      *api.Client // carries the token
	loginClient *api.Client // logs in
	lifetime    context.Context
	now         func() time.Time
	afterFunc   func(time.Duration, func()) (stop func() bool)

	mu          sync.Mutex // held while logging in, so that one login serves all
	lease       lease
	stopRenewal func() bool // the next renewal
}

// lease is a token and how long it lives. The zero time is never.
type lease struct {
	token     string
	ttl       time.Duration
	renewable bool
	renewAt   time.Time
	expires   time.Time
}

func afterFunc(d time.Duration, f func()) func() bool { return time.AfterFunc(d, f).Stop }

// check validates the configuration.
func (l *login) check() error {
	ways := 0
	for _, given := range []bool{!l.cfg.Token.IsZero(), l.cfg.TokenFile != "", l.cfg.AppRole != nil} {
		if given {
			ways++
		}
	}
	if ways != 1 {
		return misconfiguredLogin("exactly one way to log in is needed", "give one of token, token_file and approle under vault.hashicorp.auth")
	}
	if a := l.cfg.AppRole; a != nil {
		if (a.RoleID == "") == (a.RoleIDFile == "") {
			return misconfiguredLogin("an AppRole needs exactly one role ID", "give one of role_id and role_id_file")
		}
		if a.SecretID.IsZero() == (a.SecretIDFile == "") {
			return misconfiguredLogin("an AppRole needs exactly one secret ID", "give one of secret_id and secret_id_file")
		}
	}
	return nil
}

func misconfiguredLogin(why, hint string) error {
	return &BackendError{Backend: hashicorpName, Op: "log in", Reason: Misconfigured, why: why, Hint: hint}
}

// do runs call with a token. If the server says that the token is invalid, it logs
// in again and runs call once more.
func (l *login) do(ctx context.Context, call func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, l.cfg.Timeout)
	defer cancel()
	token, err := l.ensure(ctx)
	if err != nil {
		return err
	}
	err = call(ctx)
	if !isDenied(err) || !isInvalidToken(err) && l.alive(ctx) {
		return err
	}
	switch failure := l.relogin(ctx, token); {
	case failure == nil:
		return call(ctx)
	case !isInvalidToken(err) && l.cfg.AppRole == nil:
		return err // the token's policy may not allow lookup-self
	default:
		return failure
	}
}

// alive reports whether the server knows the token. Call it after a refusal that
// does not say whether the token or its policy is the reason.
func (l *login) alive(ctx context.Context) bool {
	_, err := l.client.Auth().Token().LookupSelfWithContext(ctx)
	return !isDenied(err)
}

// ensure returns the token, after logging in or renewing it if that is due.
func (l *login) ensure(ctx context.Context) (string, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	var err error
	switch {
	case l.lease.token == "":
		err = l.logIn(ctx)
	case !l.lease.renewAt.IsZero() && !l.now().Before(l.lease.renewAt):
		err = l.renew(ctx)
	}
	return l.lease.token, err
}

// relogin logs in again, unless another call has done so since the token was
// refused.
func (l *login) relogin(ctx context.Context, refused string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.lease.token != refused {
		return nil
	}
	if l.cfg.AppRole == nil {
		token, err := l.givenToken()
		if err != nil {
			return err
		}
		if token == refused {
			return l.badLogin("the token is not valid: it has expired or was revoked", "give a new token", nil)
		}
	}
	return l.logIn(ctx)
}

// renew renews the token, or gets another one. A token that cannot be renewed
// now is used until it expires.
func (l *login) renew(ctx context.Context) error {
	old := l.lease
	var err error
	if old.renewable {
		var s *api.Secret
		s, err = l.client.Auth().Token().RenewSelfWithContext(ctx, 0)
		if err == nil && s != nil && s.Auth != nil {
			l.setToken(old.token, s.Auth.LeaseDuration, s.Auth.Renewable)
			l.lease.ttl = old.ttl
			if l.cfg.AppRole == nil || l.lease.expires.IsZero() || l.lease.expires.Sub(l.now()) > old.ttl/2 {
				return nil
			}
			// It is near its maximum TTL: log in again.
		}
	}
	if l.cfg.Token.IsZero() {
		if err = l.logIn(ctx); err == nil {
			return nil
		}
	}
	left := old.expires.Sub(l.now())
	if left <= 0 {
		if err == nil || isDenied(err) {
			return l.badLogin("the token has expired and cannot be renewed", "give a new token", err)
		}
		return err
	}
	l.lease.renewAt = l.now().Add(max(left/3, time.Second))
	l.schedule()
	return nil
}

// logIn logs in.
func (l *login) logIn(ctx context.Context) error {
	if l.cfg.AppRole == nil {
		return l.useGivenToken(ctx)
	}
	method, err := l.appRole()
	if err != nil {
		return err
	}
	s, err := method.Login(ctx, l.loginClient)
	switch code := status(err); {
	case isNotVault(err):
		return err
	case code == http.StatusBadRequest || code == http.StatusForbidden || code == http.StatusNotFound:
		return l.badLogin("the AppRole was refused", "check role_id, secret_id (it may have expired or be used up), the mount of the auth method and the namespace", err)
	case err != nil:
		return err
	case s == nil || s.Auth == nil || s.Auth.ClientToken == "":
		return errNotVault
	}
	l.setToken(s.Auth.ClientToken, s.Auth.LeaseDuration, s.Auth.Renewable)
	return nil
}

func (l *login) appRole() (*approle.AppRoleAuth, error) {
	a := l.cfg.AppRole
	roleID, err := l.credential(a.RoleID, a.RoleIDFile)
	if err != nil {
		return nil, err
	}
	secretID, err := l.credential(a.SecretID.Reveal(), a.SecretIDFile)
	if err != nil {
		return nil, err
	}
	return approle.NewAppRoleAuth(roleID, &approle.SecretID{FromString: secretID}, approle.WithMountPath(cmp.Or(a.Mount, "approle")))
}

func (l *login) useGivenToken(ctx context.Context) error {
	token, err := l.givenToken()
	if err != nil {
		return err
	}
	l.client.SetToken(token)
	s, err := l.client.Auth().Token().LookupSelfWithContext(ctx)
	switch {
	case isInvalidToken(err):
		return l.badLogin("the token is not valid: it has expired or was revoked", "give a new token", err)
	case isDenied(err): // its policy does not allow lookup-self, but may allow reading
		l.setToken(token, 0, false)
		return nil
	case err != nil:
		return err
	}
	ttl, err := s.TokenTTL()
	if err != nil {
		return errNotVault
	}
	renewable, err := s.TokenIsRenewable()
	if err != nil {
		return errNotVault
	}
	l.setToken(token, int(ttl/time.Second), renewable)
	return nil
}

func (l *login) givenToken() (string, error) {
	return l.credential(l.cfg.Token.Reveal(), l.cfg.TokenFile)
}

// credential returns a value, or that in a file if it is empty.
func (l *login) credential(value, path string) (string, error) {
	if value != "" {
		return value, nil
	}
	content, err := os.ReadFile(path)
	text := strings.TrimSpace(string(content))
	if err == nil && text == "" {
		err = errors.New("the file is empty")
	}
	if err == nil && len(text) > 64<<10 {
		err = errors.New("the file is too long for a credential")
	}
	if err != nil {
		return "", l.badLogin(fmt.Sprintf("%s: %s", path, reasonOf(err)), "put the credential into that file, and make it readable for this user", err)
	}
	return text, nil
}

// setToken sets the token and its TTL in seconds; 0: it never expires.
func (l *login) setToken(token string, seconds int, renewable bool) {
	ttl := time.Duration(seconds) * time.Second
	l.lease = lease{token: token, ttl: ttl, renewable: renewable}
	if ttl > 0 {
		now := l.now()
		l.lease.expires = now.Add(ttl)
		if renewable || l.cfg.Token.IsZero() {
			l.lease.renewAt = now.Add(max(ttl*2/3, time.Second))
		}
	}
	l.client.SetToken(token)
	l.schedule()
}

// schedule starts the timer that renews the token even without requests.
func (l *login) schedule() {
	if l.stopRenewal != nil {
		l.stopRenewal()
		l.stopRenewal = nil
	}
	if l.lease.renewAt.IsZero() || l.lifetime.Err() != nil {
		return
	}
	l.stopRenewal = l.afterFunc(l.lease.renewAt.Sub(l.now()), func() {
		ctx, cancel := context.WithTimeout(l.lifetime, l.cfg.Timeout)
		defer cancel()
		l.ensure(ctx) // the next call gets the error
	})
}

func (l *login) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.stopRenewal != nil {
		l.stopRenewal()
	}
}

func (l *login) badLogin(why, hint string, err error) error {
	return &BackendError{Backend: hashicorpName, Op: "log in", Where: "at " + l.cfg.Address, Reason: BadLogin, why: why, Hint: hint, Err: withoutBody(err)}
}

// serverHint says how to mend what is wrong with a server.
func serverHint(r Reason) string {
	hints := map[Reason]string{
		Down:      "make sure that the server runs and can be reached from here",
		Slow:      "find out what slows it down, or raise vault.hashicorp.timeout",
		Sealed:    "unseal it: vault operator unseal",
		DNS:       "check vault.hashicorp.address and this machine's name servers",
		TLS:       "set vault.hashicorp.ca_cert to the PEM file of its certificate authority, and check that the address has the right name and uses https",
		Conflict:  "try again",
		BadAnswer: "check vault.hashicorp.address: a proxy or another server may answer there",
	}
	return hints[r]
}

// explain turns an error of the client into a BackendError.
func (l *login) explain(op string, err error) *BackendError {
	if e, ok := errors.AsType[*BackendError](err); ok {
		e := *e
		return &e
	}
	r := reason(err)
	e := &BackendError{Backend: hashicorpName, Op: op, Where: l.cfg.Address, Reason: r, Hint: serverHint(r), Err: withoutBody(err)}
	switch {
	case r == Down && errors.Is(err, context.Canceled):
		e.why = "it was interrupted"
	case r == Slow && status(err) == http.StatusTooManyRequests:
		e.Hint = "raise the server's rate limit quota"
	case r == Slow:
		e.why = fmt.Sprintf("no answer within %s", l.cfg.Timeout)
	case r == BadAnswer:
		e.why = "the answer is not from HashiCorp Vault"
	}
	if code := status(err); code != 0 && e.why == "" {
		e.why = fmt.Sprintf("%s (status %d)", e.Reason.why(), code)
	}
	return e
}

func reason(err error) Reason {
	code := status(err)
	switch {
	case errors.Is(err, api.ErrSecretNotFound):
		return NotFound
	case code == http.StatusBadRequest && hasError(err, "HTTP request to an HTTPS server"), isTLS(err):
		return TLS
	case code == http.StatusServiceUnavailable && hasError(err, "sealed"):
		return Sealed
	case code == http.StatusTooManyRequests:
		return Slow
	case code >= 500, hasError(err, "Upgrading from non-versioned"): // an engine that becomes version 2
		return Down
	case isNotVault(err):
		return BadAnswer
	case code == http.StatusForbidden:
		return Denied
	case code == http.StatusNotFound:
		return NotFound
	case isConflict(err):
		return Conflict
	}
	if _, ok := errors.AsType[*net.DNSError](err); ok {
		return DNS
	}
	netErr, isNet := errors.AsType[net.Error](err) // *url.Error too
	_, isTooLong := errors.AsType[*http.MaxBytesError](err)
	switch {
	case isTooLong:
		return BadAnswer
	case errors.Is(err, context.DeadlineExceeded), isNet && netErr.Timeout():
		return Slow
	case isNet, errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, context.Canceled):
		return Down
	}
	return BadAnswer // an answer that could not be read
}

func isTLS(err error) bool {
	_, certificate := errors.AsType[*tls.CertificateVerificationError](err)
	_, record := errors.AsType[tls.RecordHeaderError](err)
	_, alert := errors.AsType[tls.AlertError](err)
	return certificate || record || alert || err != nil && strings.Contains(err.Error(), "HTTP response to HTTPS client")
}

// withoutBody drops from an error a body that is not Vault's: it may hold anything.
func withoutBody(err error) error {
	if r, ok := errors.AsType[*api.ResponseError](err); ok && r.RawError {
		c := *r
		c.Errors = nil
		return &c
	}
	return err
}

// isNotVault reports whether an error response does not have Vault's form.
func isNotVault(err error) bool {
	r, ok := errors.AsType[*api.ResponseError](err)
	return ok && r.RawError
}
