package simulation

import (
	"cmp"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
)

// A handlerTransport calls a handler in this process, in the goroutine of the request.
type handlerTransport struct{ http.Handler }

// RoundTrip implements http.RoundTripper. A handler that aborts is a connection that is reset.
func (t handlerTransport) RoundTrip(req *http.Request) (*http.Response, error) {
	ctx := req.Context()
	served := req.Clone(ctx)
	served.Host, served.RequestURI, served.RemoteAddr = cmp.Or(req.Host, req.URL.Host), req.URL.RequestURI(), "127.0.0.1:1"
	if req.Body == nil {
		served.Body = http.NoBody
	}
	defer served.Body.Close()
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	w := httptest.NewRecorder()
	aborted := t.serve(w, served)
	resp := w.Result()
	resp.Request = req
	switch {
	case !aborted:
		resp.ContentLength = int64(w.Body.Len())
	case ctx.Err() != nil: // on a virtual clock, time-outs cancel
		return nil, context.DeadlineExceeded
	case !w.Flushed:
		return nil, io.ErrUnexpectedEOF
	default:
		resp.Body = io.NopCloser(io.MultiReader(w.Body, brokenOff{}))
	}
	return resp, nil
}

// serve calls the handler, and reports whether it aborted.
func (t handlerTransport) serve(w http.ResponseWriter, req *http.Request) (aborted bool) {
	defer func() {
		if v := recover(); v == http.ErrAbortHandler {
			aborted = true
		} else if v != nil {
			panic(v)
		}
	}()
	t.ServeHTTP(w, req)
	return false
}

// brokenOff is the end of a body whose connection broke.
type brokenOff struct{}

func (brokenOff) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }
