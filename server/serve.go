package server

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"
)

// ServeOptions are how to listen. Zero times are the defaults.
type ServeOptions struct {
	TLS *CertFiles // nil: plain HTTP

	WriteTimeout time.Duration // from the header's end to the end of the answer: over MaxWait; 2 min
	Drain        time.Duration // for requests that are being answered when ctx ends; 30 s

	Log *slog.Logger // of what is wrong with connections, at debug. nil: none
}

// Serve answers the requests that come to a listener, until ctx ends; then it takes
// nothing new, lets what is being answered finish for a while, and returns nil, or an
// error when it had to cut something off. Who has connected by then and not asked for
// anything, as browsers and probes do, is not waited for. It closes the listener. A handler
// that wants more time gives itself some with an http.ResponseController.
func Serve(ctx context.Context, l net.Listener, h http.Handler, o ServeOptions) error {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	s := &http.Server{
		Handler:           timely(h),
		ReadHeaderTimeout: 10 * time.Second,
		WriteTimeout:      cmp.Or(o.WriteTimeout, 2*time.Minute),
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    32 << 10,
		ErrorLog:          slog.NewLogLogger(o.Log.Handler(), slog.LevelDebug),
	}
	newcomers := newcomers{conns: map[net.Conn]bool{}}
	s.ConnState = newcomers.note
	s.RegisterOnShutdown(newcomers.end)
	serve := func() error { return s.Serve(l) }
	if o.TLS != nil {
		s.TLSConfig = &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: o.TLS.get}
		serve = func() error { return s.ServeTLS(l, "", "") }
	}
	failed := make(chan error, 1)
	go func() { failed <- serve() }()
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), cmp.Or(o.Drain, 30*time.Second))
	defer cancel()
	err := s.Shutdown(drain)
	if errors.Is(err, context.DeadlineExceeded) {
		err = errors.New("requests were cut off: they were not answered in time when the daemon stopped")
	}
	return errors.Join(err, s.Close())
}

// newcomers are connections on which no request has come yet. A server that shuts down
// answers none of them any more, but waits for them for 5 seconds.
type newcomers struct {
	mu    sync.Mutex
	conns map[net.Conn]bool
	over  bool
}

// note is told of each connection's states.
func (n *newcomers) note(c net.Conn, state http.ConnState) {
	n.mu.Lock()
	defer n.mu.Unlock()
	switch {
	case state != http.StateNew:
		delete(n.conns, c)
	case n.over:
		_ = c.Close()
	default:
		n.conns[c] = true
	}
}

// end closes them.
func (n *newcomers) end() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.over = true
	for c := range n.conns {
		_ = c.Close()
	}
}

// bodyTimeout is how long a body may take to come.
const bodyTimeout = 15 * time.Second

// mostLeft bounds what is read of a body that the handler did not want, in bytes.
const mostLeft = 8 << 20

// timely cuts off requests whose body does not come in time. What a handler left of a body
// that is sent unasked is read to its end: closing the connection over it would reset it, and
// the answer could be lost. Proxies that speak HTTP/1.0 make a 502 of that, and some take the
// daemon for dead then, so that anybody could have it left out.
func timely(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		control := http.NewResponseController(w)
		if r.ContentLength == 0 || control.SetReadDeadline(time.Now().Add(bodyTimeout)) != nil {
			h.ServeHTTP(w, r)
			return
		}
		asked := r.Header.Get("Expect") != ""
		if asked {
			r = r.WithContext(r.Context()) // the server looks into its own, whether the body was asked for
		}
		body := &timedBody{ReadCloser: r.Body, control: control}
		r.Body = body
		h.ServeHTTP(w, r)
		if !asked && !body.ended {
			_, _ = io.CopyN(io.Discard, body, mostLeft) // where it breaks off, so does the answer
		}
	})
}

// A timedBody lifts the deadline at its end: until the answer is written, the server
// reads on to notice that the client leaves.
type timedBody struct {
	io.ReadCloser
	control *http.ResponseController
	ended   bool
}

func (b *timedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err == io.EOF {
		b.ended = true
		_ = b.control.SetReadDeadline(time.Time{}) // it could be set, so it can be lifted
	}
	return n, err
}
