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

// Serve answers the requests that come to a listener until ctx ends; then it accepts nothing
// new, gives the requests under way Drain to finish, and returns nil, or an error when it had
// to cut one off. Connections without a request, as browsers and probes open them, are closed
// at once. It closes the listener. A handler that needs more time than WriteTimeout extends
// its own deadline with an http.ResponseController.
func Serve(ctx context.Context, l net.Listener, h http.Handler, o ServeOptions) error {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	s := &http.Server{
		Handler:           limitBodyTime(h),
		ReadHeaderTimeout: 10 * time.Second,
		WriteTimeout:      cmp.Or(o.WriteTimeout, 2*time.Minute),
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    32 << 10,
		ErrorLog:          slog.NewLogLogger(o.Log.Handler(), slog.LevelDebug),
	}
	conns := newConns{conns: map[net.Conn]bool{}}
	s.ConnState = conns.track
	s.RegisterOnShutdown(conns.closeAll)
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
		err = errors.New("requests were cut off because they could not be answered before the daemon stopped")
	}
	return errors.Join(err, s.Close())
}

// newConns are the connections without a request yet. http.Server.Shutdown would wait 5 seconds
// for them, although it answers none of them any more.
type newConns struct {
	mu     sync.Mutex
	conns  map[net.Conn]bool
	closed bool
}

// track is http.Server.ConnState.
func (n *newConns) track(c net.Conn, state http.ConnState) {
	n.mu.Lock()
	defer n.mu.Unlock()
	switch {
	case state != http.StateNew:
		delete(n.conns, c)
	case n.closed:
		_ = c.Close()
	default:
		n.conns[c] = true
	}
}

// closeAll closes them, and those that come later.
func (n *newConns) closeAll() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.closed = true
	for c := range n.conns {
		_ = c.Close()
	}
}

// bodyTimeout is how long a body may take to arrive.
const bodyTimeout = 15 * time.Second

// maxDiscard bounds what is read of a body that the handler left, in bytes.
const maxDiscard = 8 << 20

// limitBodyTime cuts off requests whose body does not arrive in time. What a handler left of a
// body is read to its end, unless the client waits for "100 Continue": closing the connection
// with data unread would reset it, and the answer could be lost. Proxies that speak HTTP/1.0
// make a 502 of that, and some then take the daemon out of service, so that any client could
// cause it.
func limitBodyTime(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		control := http.NewResponseController(w)
		if r.ContentLength == 0 || control.SetReadDeadline(time.Now().Add(bodyTimeout)) != nil {
			h.ServeHTTP(w, r)
			return
		}
		expects := r.Header.Get("Expect") != ""
		if expects {
			r = r.WithContext(r.Context()) // a copy: the server itself looks at its own Request's Body to see whether it was read
		}
		body := &timedBody{ReadCloser: r.Body, control: control}
		r.Body = body
		h.ServeHTTP(w, r)
		if !expects && !body.ended {
			_, _ = io.CopyN(io.Discard, body, maxDiscard) // an error means that the client is gone
		}
	})
}

// A timedBody lifts the read deadline at its end: until the answer is written, the server
// keeps reading to notice when the client disconnects.
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
