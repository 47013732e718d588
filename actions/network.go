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
	var (
		dns  *net.DNSError
		dial *net.OpError
	)
	return notSent(err) ||
		errors.As(err, &dns) ||
		errors.As(err, &dial) && dial.Op == "dial" ||
		untrusted(err)
}

func timedOut(err error) bool {
	var e net.Error
	return errors.As(err, &e) && e.Timeout()
}

func untrusted(err error) bool {
	var (
		cert   *tls.CertificateVerificationError
		record tls.RecordHeaderError
	)
	return errors.As(err, &cert) || errors.As(err, &record)
}

// notSent reports whether a transport that sends nothing, such as a recording, refused the request:
// repeating it is in vain.
func notSent(err error) bool {
	var unsent interface{ NotSent() bool }
	return errors.As(err, &unsent) && unsent.NotSent()
}

// explain describes a network error for people, and how to mend it.
func explain(host string, err error, never bool) (code, class, message, help string) {
	code, class = "network", "network"
	var (
		dns       *net.DNSError
		authority x509.UnknownAuthorityError
		name      x509.HostnameError
		invalid   x509.CertificateInvalidError
		record    tls.RecordHeaderError
		op        *net.OpError
	)
	switch {
	case notSent(err):
		return "not_sent", "surroundings", reason(err), ""
	case errors.As(err, &dns) && dns.IsNotFound:
		message, help = "cannot reach "+host+": there is no host of that name", "check the name, or this machine's DNS"
	case errors.As(err, &dns):
		message, help = "cannot reach "+host+": its name could not be looked up", "check this machine's DNS"
	case errors.As(err, &authority):
		message, help = "cannot trust "+host+": its certificate is signed by an unknown authority", "add the authority to this machine's certificates (SSL_CERT_FILE)"
	case errors.As(err, &name):
		message, help = "cannot trust "+host+": its certificate is for another name", "check the address"
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		message, help = "cannot trust "+host+": its certificate has expired or is not valid yet", "renew it, and check this machine's clock"
	case errors.As(err, &record), strings.Contains(err.Error(), "HTTP response to HTTPS client"):
		message, help = host+" does not speak TLS there", "use http:// or another port"
	case untrusted(err), errors.As(err, &op) && op.Op == "remote error", never && strings.Contains(err.Error(), "TLS"):
		message, help = "no secure connection to "+host+": "+reason(err), "check its certificate and TLS versions"
	case errors.Is(err, syscall.ECONNREFUSED):
		message, help = "cannot reach "+host+": the connection was refused", "check the port, and that the server runs"
	case errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH):
		message, help = "cannot reach "+host+": there is no route to it", "check this machine's network"
	case never:
		message, help = "cannot reach "+host+": "+reason(err), "check the address and the network"
	case timedOut(err):
		code, class, message = "timeout", "timeout", "no answer from "+host+" in time, so whether the request was carried out is not known"
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		message = "the connection to " + host + " broke before an answer came, so whether the request was carried out is not known"
	default:
		message = "no answer from " + host + ": " + reason(err)
	}
	return code, class, message, help
}

// reason gives the text of an error without the address that net/http puts before it.
func reason(err error) string {
	var u *url.Error
	if errors.As(err, &u) {
		err = u.Err
	}
	text := err.Error()
	for _, prefix := range []string{"net/http: ", "http: ", "tls: "} {
		text = strings.TrimPrefix(text, prefix)
	}
	return text
}
