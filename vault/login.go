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

// login is a session with a HashiCorp Vault server. It logs in when it is first
// asked, renews its token when two thirds of its life are over, whether it is
// asked or not, and logs in again when a token cannot be renewed or is refused.
type login struct {
	cfg       Hashicorp
	client    *api.Client // carries the token
	anonymous *api.Client // logs in
	lifetime  context.Context
	now       func() time.Time
	after     func(time.Duration, func()) (stop func() bool)

	turn  sync.Mutex // held while logging in, so that one login serves all
	lease lease
	stop  func() bool // the next renewal
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

// check looks for contradictions in the configuration.
func (l *login) check() error {
	ways := 0
	for _, given := range []bool{!l.cfg.Token.IsZero(), l.cfg.TokenFile != "", l.cfg.AppRole != nil} {
		if given {
			ways++
		}
	}
	if ways != 1 {
		return misconfigured("there must be one way to log in", "give one of token, token_file and approle under vault.hashicorp.auth")
	}
	if a := l.cfg.AppRole; a != nil {
		if (a.RoleID == "") == (a.RoleIDFile == "") {
			return misconfigured("an AppRole needs one role ID", "give one of role_id and role_id_file")
		}
		if a.SecretID.IsZero() == (a.SecretIDFile == "") {
			return misconfigured("an AppRole needs one secret ID", "give one of secret_id and secret_id_file")
		}
	}
	return nil
}

func misconfigured(why, hint string) error {
	return &BackendError{Backend: hashicorpName, Op: "log in", Reason: Misconfigured, why: why, Hint: hint}
}

// do runs call with a token. If the token turns out to be dead it logs in and
// runs call once more.
func (l *login) do(ctx context.Context, call func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, l.cfg.Timeout)
	defer cancel()
	token, err := l.ensure(ctx)
	if err != nil {
		return err
	}
	err = call(ctx)
	if !isDenied(err) || !isDead(err) && l.alive(ctx) {
		return err
	}
	switch failure := l.again(ctx, token); {
	case failure == nil:
		return call(ctx)
	case !isDead(err) && l.cfg.AppRole == nil:
		return err // the token may be one that may not even look itself up
	default:
		return failure
	}
}

// alive tells whether the server knows the token. It is asked only after a
// refusal that does not say whether the token or its policy is the reason.
func (l *login) alive(ctx context.Context) bool {
	_, err := l.client.Auth().Token().LookupSelfWithContext(ctx)
	return !isDenied(err)
}

// ensure returns a token that should be alive.
func (l *login) ensure(ctx context.Context) (string, error) {
	l.turn.Lock()
	defer l.turn.Unlock()
	var err error
	switch {
	case l.lease.token == "":
		err = l.fresh(ctx)
	case !l.lease.renewAt.IsZero() && !l.now().Before(l.lease.renewAt):
		err = l.renew(ctx)
	}
	return l.lease.token, err
}

// again logs in anew, unless somebody else has done so since the token was
// refused.
func (l *login) again(ctx context.Context, refused string) error {
	l.turn.Lock()
	defer l.turn.Unlock()
	if l.lease.token != refused {
		return nil
	}
	if l.cfg.AppRole == nil {
		token, err := l.givenToken()
		if err != nil {
			return err
		}
		if token == refused {
			return l.badLogin("the token is not valid: it has ended or was revoked", "give a new token", nil)
		}
	}
	return l.fresh(ctx)
}

// renew makes the token live longer, or gets another one. A token that cannot
// be renewed now is used as long as it lives.
func (l *login) renew(ctx context.Context) error {
	old := l.lease
	var err error
	if old.renewable {
		var s *api.Secret
		s, err = l.client.Auth().Token().RenewSelfWithContext(ctx, 0)
		if err == nil && s != nil && s.Auth != nil {
			l.hold(old.token, s.Auth.LeaseDuration, s.Auth.Renewable)
			l.lease.ttl = old.ttl
			if l.cfg.AppRole == nil || l.lease.expires.IsZero() || l.lease.expires.Sub(l.now()) > old.ttl/2 {
				return nil
			}
			// It nears the end of what renewing can do.
		}
	}
	if l.cfg.Token.IsZero() {
		if err = l.fresh(ctx); err == nil {
			return nil
		}
	}
	left := old.expires.Sub(l.now())
	if left <= 0 {
		if err == nil || isDenied(err) {
			return l.badLogin("the token has ended and cannot be renewed", "give a new token", err)
		}
		return err
	}
	l.lease.renewAt = l.now().Add(max(left/3, time.Second))
	l.schedule()
	return nil
}

// fresh logs in.
func (l *login) fresh(ctx context.Context) error {
	if l.cfg.AppRole == nil {
		return l.freshToken(ctx)
	}
	method, err := l.appRole()
	if err != nil {
		return err
	}
	s, err := method.Login(ctx, l.anonymous)
	switch code := status(err); {
	case isForeign(err):
		return err
	case code == http.StatusBadRequest || code == http.StatusForbidden || code == http.StatusNotFound:
		return l.badLogin("the AppRole is refused", "check role_id, secret_id (it may have ended or be used up), the mount of the auth method and the namespace", err)
	case err != nil:
		return err
	case s == nil || s.Auth == nil || s.Auth.ClientToken == "":
		return errNotVault
	}
	l.hold(s.Auth.ClientToken, s.Auth.LeaseDuration, s.Auth.Renewable)
	return nil
}

func (l *login) appRole() (*approle.AppRoleAuth, error) {
	a := l.cfg.AppRole
	roleID := a.RoleID
	if roleID == "" {
		var err error
		if roleID, err = l.fromFile(a.RoleIDFile); err != nil {
			return nil, err
		}
	}
	secretID := a.SecretID.Reveal()
	if secretID == "" {
		var err error
		if secretID, err = l.fromFile(a.SecretIDFile); err != nil {
			return nil, err
		}
	}
	return approle.NewAppRoleAuth(roleID, &approle.SecretID{FromString: secretID}, approle.WithMountPath(cmp.Or(a.Mount, "approle")))
}

func (l *login) freshToken(ctx context.Context) error {
	token, err := l.givenToken()
	if err != nil {
		return err
	}
	l.client.SetToken(token)
	s, err := l.client.Auth().Token().LookupSelfWithContext(ctx)
	switch {
	case isDead(err):
		return l.badLogin("the token is not valid: it has ended or was revoked", "give a new token", err)
	case isDenied(err): // a token that may not look itself up may still read
		l.hold(token, 0, false)
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
	l.hold(token, int(ttl/time.Second), renewable)
	return nil
}

func (l *login) givenToken() (string, error) {
	if !l.cfg.Token.IsZero() {
		return l.cfg.Token.Reveal(), nil
	}
	return l.fromFile(l.cfg.TokenFile)
}

// fromFile reads a credential.
func (l *login) fromFile(path string) (string, error) {
	content, err := os.ReadFile(path)
	text := strings.TrimSpace(string(content))
	if err == nil && text == "" {
		err = errors.New("the file is empty")
	}
	if err == nil && len(text) > 64<<10 {
		err = errors.New("the file is too long for a credential")
	}
	if err != nil {
		return "", l.badLogin(fmt.Sprintf("%s: %s", path, reasonOf(err)), "put the credential into that file, readable for this user", err)
	}
	return text, nil
}

// hold keeps a token of that many seconds; with 0 it lives forever.
func (l *login) hold(token string, seconds int, renewable bool) {
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

// schedule sees to it that the token is renewed in time if nobody asks.
func (l *login) schedule() {
	if l.stop != nil {
		l.stop()
		l.stop = nil
	}
	if l.lease.renewAt.IsZero() || l.lifetime.Err() != nil {
		return
	}
	l.stop = l.after(l.lease.renewAt.Sub(l.now()), func() {
		ctx, cancel := context.WithTimeout(l.lifetime, l.cfg.Timeout)
		defer cancel()
		l.ensure(ctx) // whoever asks next gets the error
	})
}

func (l *login) close() {
	l.turn.Lock()
	defer l.turn.Unlock()
	if l.stop != nil {
		l.stop()
	}
}

func (l *login) badLogin(why, hint string, err error) error {
	return &BackendError{Backend: hashicorpName, Op: "log in", Where: "at " + l.cfg.Address, Reason: BadLogin, why: why, Hint: hint, Err: clean(err)}
}

// explain turns what the client returns into an error for people.
func (l *login) explain(op string, err error) *BackendError {
	if e, ok := errors.AsType[*BackendError](err); ok {
		e := *e
		return &e
	}
	e := &BackendError{Backend: hashicorpName, Op: op, Where: l.cfg.Address, Err: clean(err)}
	switch e.Reason = reason(err); e.Reason {
	case Down:
		if errors.Is(err, context.Canceled) {
			e.why = "it was interrupted"
		}
		e.Hint = "see that the server runs and can be reached from here"
	case Slow:
		if status(err) == http.StatusTooManyRequests {
			e.Hint = "raise the rate limit quota of the server"
			break
		}
		e.why = fmt.Sprintf("no answer within %s", l.cfg.Timeout)
		e.Hint = "see what keeps it, or raise vault.hashicorp.timeout"
	case Sealed:
		e.Hint = "unseal it: vault operator unseal"
	case DNS:
		e.Hint = "check vault.hashicorp.address and the name servers of this machine"
	case TLS:
		e.Hint = "set vault.hashicorp.ca_cert to the PEM file of its authority, and check that the address has the right name and https"
	case Conflict:
		e.Hint = "try again"
	case BadAnswer:
		e.why = "the answer is not one of a vault"
		e.Hint = "check vault.hashicorp.address: a proxy or another server may answer there"
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
	case code == http.StatusBadRequest && said(err, "HTTP request to an HTTPS server"), isTLS(err):
		return TLS
	case code == http.StatusServiceUnavailable && said(err, "sealed"):
		return Sealed
	case code == http.StatusTooManyRequests:
		return Slow
	case code >= 500, said(err, "Upgrading from non-versioned"): // an engine that becomes version 2
		return Down
	case isForeign(err):
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
	netErr, isNet := errors.AsType[net.Error](err) // also what http.Client says
	switch {
	case errors.Is(err, errTooLong):
		return BadAnswer
	case errors.Is(err, context.DeadlineExceeded), isNet && netErr.Timeout():
		return Slow
	case isNet, errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, context.Canceled):
		return Down
	}
	return BadAnswer // it came, and could not be read
}

func isTLS(err error) bool {
	_, certificate := errors.AsType[*tls.CertificateVerificationError](err)
	_, record := errors.AsType[tls.RecordHeaderError](err)
	_, alert := errors.AsType[tls.AlertError](err)
	return certificate || record || alert || err != nil && strings.Contains(err.Error(), "HTTP response to HTTPS client")
}

// clean drops a body that is not a vault's: nobody knows what is in it.
func clean(err error) error {
	if r, ok := errors.AsType[*api.ResponseError](err); ok && r.RawError {
		c := *r
		c.Errors = nil
		return &c
	}
	return err
}

// isForeign tells whether a refusal does not have the form of a vault's.
func isForeign(err error) bool {
	r, ok := errors.AsType[*api.ResponseError](err)
	return ok && r.RawError
}
