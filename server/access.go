package server

import (
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"
)

// access tells who asks, and refuses whoever may not.
func (a *api) access(q *ask, needs Scope) error {
	given, isGiven := bearer(q.Header)
	if !a.Open && !isGiven && needs == "" {
		return nil
	}
	now := time.Now()
	keys, made, err := a.Keys.trusted(now)
	if err != nil {
		return err
	}
	if a.Open && !made {
		// Also where no key is needed: a web page must not learn even that a daemon is
		// there.
		q.by = Key{Scope: ScopeAdmin}
		return a.notByPages(q.Request)
	}
	if a.Keys == nil && needs != "" {
		return problem(Unauthorized, `make a key with "facteur keys create"`, "this daemon has no keys, so nobody may ask it")
	}
	key, found, expired := find(keys, given, now)
	switch {
	case found && needs != "" && !key.Scope.includes(needs):
		return problem(Forbidden, "use a key with the scope "+string(needs), "the key %s has the scope %s, this needs %s", key.ID, key.Scope, needs)
	case found:
		q.by = key
		return nil
	case needs == "":
		return nil
	case expired:
		return problem(Unauthorized, `make a new one with "facteur keys create"`, "the key %s expired at %s", key.ID, key.ExpiresAt.Format(time.RFC3339))
	case !isGiven:
		return problem(Unauthorized, `send the header "Authorization: Bearer `+KeyPrefix+`…"; "facteur keys create" makes a key`, "a key is needed")
	}
	return problem(Unauthorized, `"facteur keys list" shows the keys that there are`, "the key is not valid, or was revoked")
}

// may tells whether who asks has a scope.
func (q *ask) may(s Scope) bool { return q.by.Scope.includes(s) }

func bearer(h http.Header) (key string, given bool) {
	text := h.Get("Authorization")
	if text == "" {
		return "", false
	}
	scheme, key, _ := strings.Cut(text, " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return "", true
	}
	return strings.TrimSpace(key), true
}

// notByPages refuses requests that a web page may have made: a page somewhere can make a
// browser send requests to the loopback, and, when its own name leads there, read the
// answers.
func (a *api) notByPages(r *http.Request) error {
	if !a.isOurs(r.Host) {
		return problem(Forbidden, `make a key with "facteur keys create", or ask under a name of this machine such as 127.0.0.1`,
			"without keys, requests under the name %q are refused", r.Host)
	}
	if site := r.Header.Get("Sec-Fetch-Site"); site == "cross-site" || site == "same-site" {
		return problem(Forbidden, "", "without keys, requests of web pages are refused")
	}
	if origin := r.Header.Get("Origin"); origin != "" {
		if u, err := url.Parse(origin); err != nil || u.Host != r.Host {
			return problem(Forbidden, `make a key with "facteur keys create"`, "without keys, requests of web pages from %q are refused", origin)
		}
	}
	return nil
}

// IsLoopback tells whether only this machine reaches an address, which has a port.
func IsLoopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return false
	}
	if host == "localhost" {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.Unmap().IsLoopback()
}

// isOurs tells whether a Host header names this daemon.
func (a *api) isOurs(host string) bool {
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	host = strings.ToLower(strings.TrimSuffix(strings.TrimSuffix(strings.TrimPrefix(host, "["), "]"), "."))
	if ip, err := netip.ParseAddr(host); err == nil {
		return ip.IsLoopback()
	}
	return host == "localhost"
}
