package simulation

import (
	"bytes"
	"cmp"
	"context"
	"io"
	"net/http"
)

// A handlerTransport calls a handler in this process, in the goroutine of the request.
type handlerTransport struct{ http.Handler }

// RoundTrip implements http.RoundTripper. A handler that aborts is a connection that is reset.
func (i handlerTransport) RoundTrip(req *http.Request) (resp *http.Response, err error) {
	ctx := req.Context()
	if req.Body != nil {
		defer req.Body.Close()
	}
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	served := req.Clone(ctx)
	served.Host, served.RequestURI, served.RemoteAddr = cmp.Or(req.Host, req.URL.Host), req.URL.RequestURI(), "127.0.0.1:1"
	if served.Body == nil {
		served.Body = http.NoBody
	}
	a := &responseWriter{header: http.Header{}}
	defer func() {
		switch v := recover(); {
		case v == nil:
		case v != http.ErrAbortHandler:
			panic(v)
		case ctx.Err() != nil: // on a virtual clock, time-outs cancel
			resp, err = nil, context.DeadlineExceeded
		case !a.flushed:
			resp, err = nil, io.ErrUnexpectedEOF
		default:
			resp, err = a.response(req, io.ErrUnexpectedEOF), nil
		}
	}()
	i.ServeHTTP(a, served)
	return a.response(req, io.EOF), nil
}

// A responseWriter collects the response of a handler.
type responseWriter struct {
	header  http.Header
	status  int
	body    bytes.Buffer
	flushed bool
}

// Header implements http.ResponseWriter.
func (a *responseWriter) Header() http.Header { return a.header }

// WriteHeader implements http.ResponseWriter.
func (a *responseWriter) WriteHeader(status int) { a.status = cmp.Or(a.status, status) }

// Write implements http.ResponseWriter.
func (a *responseWriter) Write(p []byte) (int, error) {
	a.WriteHeader(http.StatusOK)
	return a.body.Write(p)
}

// Flush implements http.Flusher.
func (a *responseWriter) Flush() { a.flushed = true }

func (a *responseWriter) response(req *http.Request, end error) *http.Response {
	status := cmp.Or(a.status, http.StatusOK)
	length := int64(a.body.Len())
	if end != io.EOF {
		length = -1
	}
	return &http.Response{
		StatusCode: status, Status: http.StatusText(status), Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Request: req,
		Header: a.header, Body: io.NopCloser(io.MultiReader(&a.body, errorReader{end})), ContentLength: length,
	}
}

type errorReader struct{ err error }

func (e errorReader) Read([]byte) (int, error) { return 0, e.err }
