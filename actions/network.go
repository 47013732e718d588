package actions

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"syscall"
	"time"

	"facteur/flow/call"
)

// Transport returns a transport for requests that must not be made twice. It speaks
// HTTP/1.1, where a connection carries one request at a time, so that it is clear what
// the end of a connection means for it; and it closes idle connections before servers
// usually do.
func Transport() *http.Transport {
	t := &http.Transport{
		Proxy:               http.ProxyFromEnvironment,
		DialContext:         (&net.Dialer{Timeout: 10 * time.Second, KeepAlive: 30 * time.Second}).DialContext,
		MaxIdleConnsPerHost: 1024, // as many as a daemon makes calls at the same time: to connect is dearer than a call
		IdleConnTimeout:     30 * time.Second,
		TLSHandshakeTimeout: 10 * time.Second,
		Protocols:           new(http.Protocols),
	}
	t.Protocols.SetHTTP1(true)
	return t
}

// neverSent tells whether an error of a transport can only come before anything is sent,
// whatever the transport says about its progress.
func neverSent(err error) bool {
	dial, ok := errors.AsType[*net.OpError](err)
	return notSent(err) || is[*net.DNSError](err) || ok && dial.Op == "dial" || untrusted(err)
}

// is tells whether an error is, or wraps, one of that type.
func is[E error](err error) bool {
	_, ok := errors.AsType[E](err)
	return ok
}

func timedOut(err error) bool {
	e, ok := errors.AsType[net.Error](err)
	return ok && e.Timeout()
}

func untrusted(err error) bool {
	return is[*tls.CertificateVerificationError](err) || is[tls.RecordHeaderError](err)
}

// notSent reports whether a transport that sends nothing, such as a recording, refused the request:
// repeating it is in vain.
func notSent(err error) bool {
	var unsent interface{ NotSent() bool }
	return errors.As(err, &unsent) && unsent.NotSent()
}

// explain describes a network error for people, and how to mend it.
func explain(host string, err error, never bool) *call.Error {
	dns, isDNS := errors.AsType[*net.DNSError](err)
	invalid, isInvalid := errors.AsType[x509.CertificateInvalidError](err)
	op, isOp := errors.AsType[*net.OpError](err)
	switch {
	case notSent(err):
		return &call.Error{Code: "not_sent", Class: "surroundings", Message: reason(err)}
	case isDNS && dns.IsNotFound:
		return networkError("network", "cannot reach "+host+": there is no host of that name", "check the name, or this machine's DNS")
	case isDNS:
		return networkError("network", "cannot reach "+host+": its name could not be looked up", "check this machine's DNS")
	case is[x509.UnknownAuthorityError](err):
		return networkError("network", "cannot trust "+host+": its certificate is signed by an unknown authority", "add the authority to this machine's certificates (SSL_CERT_FILE)")
	case is[x509.HostnameError](err):
		return networkError("network", "cannot trust "+host+": its certificate is for another name", "check the address")
	case isInvalid && invalid.Reason == x509.Expired:
		return networkError("network", "cannot trust "+host+": its certificate has expired or is not valid yet", "renew it, and check this machine's clock")
	case is[tls.RecordHeaderError](err), strings.Contains(err.Error(), "HTTP response to HTTPS client"):
		return networkError("network", host+" does not speak TLS there", "use http:// or another port")
	case untrusted(err), isOp && op.Op == "remote error", never && strings.Contains(err.Error(), "TLS"):
		return networkError("network", "no secure connection to "+host+": "+reason(err), "check its certificate and TLS versions")
	case errors.Is(err, syscall.ECONNREFUSED):
		return networkError("network", "cannot reach "+host+": the connection was refused", "check the port, and that the server runs")
	case errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH):
		return networkError("network", "cannot reach "+host+": there is no route to it", "check this machine's network")
	case never:
		return networkError("network", "cannot reach "+host+": "+reason(err), "check the address and the network")
	case timedOut(err):
		return networkError("timeout", "no answer from "+host+" in time, so whether the request was carried out is not known", "")
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return networkError("network", "the connection to "+host+" broke before an answer came, so whether the request was carried out is not known", "")
	}
	return networkError("network", "no answer from "+host+": "+reason(err), "")
}

// networkError is an error whose class has the name of its code.
func networkError(code, message, help string) *call.Error {
	e := &call.Error{Code: code, Class: code, Message: message}
	if help != "" {
		e.Details = map[string]any{"help": help}
	}
	return e
}

// reason gives the text of an error without the address that net/http puts before it.
func reason(err error) string {
	if u, ok := errors.AsType[*url.Error](err); ok {
		err = u.Err
	}
	text := err.Error()
	for _, prefix := range []string{"net/http: ", "http: ", "tls: "} {
		text = strings.TrimPrefix(text, prefix)
	}
	return text
}
