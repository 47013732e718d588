package server

import (
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"
)

// authorize sets the request's key, and refuses a request whose key does not have the scope.
func (a *api) authorize(req *request, needs Scope) error {
	given, isGiven := bearer(req.Header)
	if !a.Open && !isGiven && needs == "" {
		return nil
	}
	now := time.Now()
	keys, made, err := a.Keys.cached(now)
	if err != nil {
		return err
	}
	if a.Open && !made {
		// Also where no key is needed: a web page must not even learn that there is a daemon.
		req.key = Key{Scope: ScopeAdmin}
		return a.refuseWebPages(req.Request)
	}
	if a.Keys == nil && needs != "" {
		return problem(Unauthorized, `create a key with "facteur keys create"`, "this daemon has no API keys, so it refuses every request")
	}
	key, found, expired := findKey(keys, given, now)
	switch {
	case found && needs != "" && !key.Scope.includes(needs):
		return problem(Forbidden, "use a key with the scope "+string(needs), "the key %s has the scope %s, but this request needs %s", key.ID, key.Scope, needs)
	case found:
		req.key = key
		return nil
	case needs == "":
		return nil
	case expired:
		return problem(Unauthorized, `create a new one with "facteur keys create"`, "the key %s expired at %s", key.ID, key.ExpiresAt.Format(time.RFC3339))
	case !isGiven:
		return problem(Unauthorized, `send the header "Authorization: Bearer `+KeyPrefix+`…"; create a key with "facteur keys create"`, "an API key is required")
	}
	return problem(Unauthorized, `list the valid keys with "facteur keys list"`, "the key is not valid or was revoked")
}

// may reports whether the request's key has a scope.
func (req *request) may(s Scope) bool { return req.key.Scope.includes(s) }

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

// refuseWebPages refuses requests that a web page may have made: any page can make a browser
// send requests to the loopback and, when its own host name resolves there (DNS rebinding),
// read the answers.
func (a *api) refuseWebPages(r *http.Request) error {
	if !isLoopbackHost(r.Host) {
		return problem(Forbidden, `create a key with "facteur keys create", or use an address of this machine such as 127.0.0.1`,
			"without API keys, requests for the host name %q are refused", r.Host)
	}
	if site := r.Header.Get("Sec-Fetch-Site"); site == "cross-site" || site == "same-site" {
		return problem(Forbidden, "", "without API keys, requests from web pages are refused")
	}
	if origin := r.Header.Get("Origin"); origin != "" {
		if u, err := url.Parse(origin); err != nil || u.Host != r.Host {
			return problem(Forbidden, `create a key with "facteur keys create"`, "without API keys, requests from web pages of %q are refused", origin)
		}
	}
	return nil
}

// IsLoopback reports whether a host:port can be reached from this machine only.
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

// isLoopbackHost reports whether a Host header names this machine's loopback.
func isLoopbackHost(host string) bool {
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	host = strings.ToLower(strings.TrimSuffix(strings.TrimSuffix(strings.TrimPrefix(host, "["), "]"), "."))
	if ip, err := netip.ParseAddr(host); err == nil {
		return ip.IsLoopback()
	}
	return host == "localhost"
}
