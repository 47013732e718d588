package httpcall

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"syscall"
	"time"

	"facteur/actions"
	"facteur/flow/call"
)

// DefaultMaxBody bounds an answer, in bytes, unless the policy has another limit.
const DefaultMaxBody = 1 << 20

// A Policy says which servers flows may call. The zero Policy allows every server with
// a public address.
type Policy struct {
	// AllowHosts lists the hosts that may be called: "api.shop.test", "*.shop.test" (not
	// shop.test itself), "api.shop.test:8443". An address or "localhost", listed as it is
	// called, may be private. Empty: every host.
	AllowHosts []string

	// AllowPrivate also allows addresses of this machine and of private networks. Link-local
	// addresses, where clouds keep their credentials, must be in AllowHosts.
	AllowPrivate bool

	// MaxBody is how long an answer may be, in bytes; 0: DefaultMaxBody.
	MaxBody int64
}

// Transport returns a transport that enforces the policy: it checks the address when it connects,
// so a name that changes its address does not get around it. It uses no proxy, whose address would
// be checked instead of the server's.
func (p Policy) Transport() *http.Transport {
	return &http.Transport{
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			host, _, err := net.SplitHostPort(address)
			if err != nil {
				return nil, err
			}
			dialer := net.Dialer{Timeout: 10 * time.Second, KeepAlive: 30 * time.Second}
			dialer.Control = func(_, address string, _ syscall.RawConn) error {
				at, err := netip.ParseAddrPort(address)
				if err != nil {
					return err
				}
				return p.allowAddress(host, at)
			}
			return dialer.DialContext(ctx, network, address)
		},
		ForceAttemptHTTP2:   true,
		MaxIdleConns:        100,
		MaxIdleConnsPerHost: 16,
		IdleConnTimeout:     90 * time.Second,
		TLSHandshakeTimeout: 10 * time.Second,
	}
}

func (p Policy) maxBody() int64 {
	if p.MaxBody > 0 {
		return p.MaxBody
	}
	return DefaultMaxBody
}

// lists tells whether a host, as it stands in a URL, is in AllowHosts.
func (p Policy) lists(host, port string) bool {
	host = canonical(host)
	for _, entry := range p.AllowHosts {
		name, entryPort := entry, ""
		if h, prt, err := net.SplitHostPort(entry); err == nil {
			name, entryPort = h, prt
		}
		if entryPort != "" && entryPort != port {
			continue
		}
		name = canonical(name)
		if parent, ok := strings.CutPrefix(name, "*."); ok {
			if strings.HasSuffix(host, "."+parent) {
				return true
			}
		} else if host == name {
			return true
		}
	}
	return false
}

func canonical(host string) string {
	return strings.ToLower(strings.TrimSuffix(strings.Trim(host, "[]"), "."))
}

// allowAddress decides about an address that host was resolved to.
func (p Policy) allowAddress(host string, at netip.AddrPort) error {
	kind := addressKindOf(at.Addr())
	if kind == public {
		return nil
	}
	_, err := netip.ParseAddr(canonical(host))
	literal := err == nil || canonical(host) == "localhost"
	if literal && p.lists(host, fmt.Sprint(at.Port())) || p.AllowPrivate && kind == private {
		return nil
	}
	return actions.Permanent(&call.Error{
		Code: "address_refused", Class: "policy",
		Message: fmt.Sprintf("%s is not called: its address is %s", host, kind),
		Details: map[string]any{"help": "set http.allow_private in the project file, or list the address itself in http.allow_hosts"},
	})
}

// addressKind says where an address leads.
type addressKind string

const (
	public  addressKind = "public"
	private addressKind = "private, or this machine's own"
	local   addressKind = "link-local or reserved, where clouds keep their credentials"
)

// The ranges that netip has no word for. The last two translate addresses of version 4.
var (
	sharedRange   = netip.MustParsePrefix("100.64.0.0/10")
	nat64         = netip.MustParsePrefix("64:ff9b::/96")
	sixToFour     = netip.MustParsePrefix("2002::/16")
	reservedRange = []netip.Prefix{
		netip.MustParsePrefix("0.0.0.0/8"),
		netip.MustParsePrefix("100.100.100.200/32"),
		netip.MustParsePrefix("168.63.129.16/32"),
		netip.MustParsePrefix("192.0.0.0/24"),
		netip.MustParsePrefix("198.18.0.0/15"),
		netip.MustParsePrefix("240.0.0.0/4"),
		netip.MustParsePrefix("64:ff9b:1::/48"),
		netip.MustParsePrefix("fd00:ec2::254/128"),
		netip.MustParsePrefix("fd20:ce::254/128"),
		netip.MustParsePrefix("fec0::/10"),
		netip.MustParsePrefix("2001::/32"),
	}
)

func addressKindOf(a netip.Addr) addressKind {
	a = a.Unmap().WithZone("")
	for _, r := range reservedRange {
		if r.Contains(a) {
			return local
		}
	}
	b := a.As16()
	switch {
	case nat64.Contains(a):
		return addressKindOf(netip.AddrFrom4([4]byte(b[12:])))
	case sixToFour.Contains(a):
		return addressKindOf(netip.AddrFrom4([4]byte(b[2:6])))
	case a.IsLinkLocalUnicast(), a.IsMulticast(), a.IsUnspecified():
		return local
	case a.IsPrivate(), a.IsLoopback(), sharedRange.Contains(a):
		return private
	}
	return public
}
