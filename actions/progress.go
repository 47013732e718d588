package actions

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptrace"
	"strings"
	"sync/atomic"

	"facteur/flow/call"

	"golang.org/x/net/http/httpguts"
)

// requestTrace is how far a request got. It is written by the transport's goroutines.
type requestTrace struct {
	httptrace.ClientTrace
	connRequested, connected, wrote atomic.Bool
	tlsConn                         atomic.Pointer[tls.Conn]
}

// trace returns a context that records how far its request gets.
func (p *requestTrace) trace(ctx context.Context) context.Context {
	p.ClientTrace = httptrace.ClientTrace{
		GetConn: func(string) { p.connRequested.Store(true) },
		GotConn: func(i httptrace.GotConnInfo) {
			p.connected.Store(true)
			if c, ok := i.Conn.(*tls.Conn); ok {
				p.tlsConn.Store(c)
			}
		},
		WroteHeaders: func() { p.wrote.Store(true) },
	}
	return httptrace.WithClientTrace(ctx, &p.ClientTrace)
}

// unsent tells whether surely no server saw the request. A request that got a
// connection may be on its way before WroteHeaders says so; a transport that reports
// nothing is not to be trusted at all.
func (p *requestTrace) unsent() bool { return p.connRequested.Load() && !p.connected.Load() }

var errNoRetry = errors.New("the server gave the request up")

// preventRetry keeps a transport from repeating by itself what a server may have carried out.
// With HTTP/1 it repeats only what it has not begun to write, unless a header promises that
// more does no harm: it does not find that one. With HTTP/2 it also takes some errors of
// the server for a proof that nothing was done, which they are not: such a transport, which
// Transport is not, still repeats a request that has no body.
func (p *requestTrace) preventRetry(req *http.Request) *http.Request {
	for _, name := range []string{"Idempotency-Key", "X-Idempotency-Key"} {
		if values, ok := req.Header[name]; ok {
			req.Header = maps.Clone(req.Header)
			delete(req.Header, name)
			req.Header[strings.ToLower(name)] = values // the same to a server
		}
	}
	again := req.GetBody
	if again == nil {
		return req
	}
	req.GetBody = func() (io.ReadCloser, error) {
		if c := p.tlsConn.Load(); c != nil && p.wrote.Load() && c.ConnectionState().NegotiatedProtocol == "h2" {
			return nil, errNoRetry
		}
		return again()
	}
	return req
}

// checkRequest says why no transport would take a request. Transports say so themselves, but
// not in a way that tells it from a failure on the way.
func checkRequest(req *http.Request) error {
	refused := func(help, format string, args ...any) error {
		return Permanent(&call.Error{
			Code: "invalid_request", Class: "permanent",
			Message: "nothing was sent: " + fmt.Sprintf(format, args...), Details: map[string]any{"help": help},
		})
	}
	if s := req.URL.Scheme; s != "http" && s != "https" || req.URL.Host == "" {
		return refused("check the base_url of the connection", "the address is not one of http or https with a host")
	}
	for name, values := range req.Header {
		if !httpguts.ValidHeaderFieldValue(strings.Join(values, "")) {
			return refused("if it comes from a connection, store it again without: facteur vault set",
				"the header %s contains a line break or another control character", name)
		}
	}
	return nil
}
