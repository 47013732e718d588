package server_test

import (
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"facteur/flow/host"
	"facteur/flow/machine"
	"facteur/flow/plan"
	"facteur/server"

	"github.com/stretchr/testify/require"
)

// An instant host accepts everything and keeps nothing.
type instant struct{ host.Host }

func (instant) Start(_ context.Context, p *plan.Plan, s host.Start) (host.Run, bool, error) {
	return host.Run{ID: "4tqj7mgr2vzq", Flow: p.Name, Digest: p.Digest, Status: machine.Running, By: s.By, Started: began}, true, nil
}

func benchHandler(b *testing.B, keyed bool) (h http.Handler, auth string) {
	d := newDaemon(b, func(o *server.Options) { o.Host, o.Log = instant{}, slog.New(slog.DiscardHandler) })
	if keyed {
		_, key, err := d.keys.Create("bench", server.ScopeRun, time.Time{})
		require.NoError(b, err)
		auth = "Bearer " + key
	}
	return d.handler, auth
}

// A sink is a ResponseWriter that keeps nothing.
type sink struct {
	header http.Header
	status int
}

func (s *sink) Header() http.Header         { return s.header }
func (s *sink) WriteHeader(status int)      { s.status = status }
func (s *sink) Write(p []byte) (int, error) { return len(p), nil }

// BenchmarkStart is what the API adds to a start, without HTTP.
func BenchmarkStart(b *testing.B) {
	for name, keyed := range map[string]bool{"open": false, "key": true} {
		b.Run(name, func(b *testing.B) {
			h, auth := benchHandler(b, keyed)
			body := strings.NewReader(order)
			req := httptest.NewRequest("POST", "http://127.0.0.1:8180/v1/flows/order_shipped/runs", io.NopCloser(body))
			req.Header.Set("Content-Type", "application/json")
			req.Header.Set("Idempotency-Key", "order-7")
			if auth != "" {
				req.Header.Set("Authorization", auth)
			}
			w := &sink{header: http.Header{}}
			b.ReportAllocs()
			for b.Loop() {
				body.Reset(order)
				h.ServeHTTP(w, req)
			}
			require.Equal(b, 201, w.status)
		})
	}
}

// BenchmarkHTTP starts runs over HTTP on one machine, beside a handler that does nothing
// but read and answer as many bytes.
func BenchmarkHTTP(b *testing.B) {
	h, auth := benchHandler(b, true)
	answer := httptest.NewRecorder()
	first := httptest.NewRequest("POST", "/v1/flows/order_shipped/runs", strings.NewReader(order))
	first.Header.Set("Content-Type", "application/json")
	first.Header.Set("Authorization", auth)
	h.ServeHTTP(answer, first)
	bare := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.WriteHeader(201)
		_, _ = w.Write(answer.Body.Bytes())
	})
	for _, c := range []struct {
		name string
		h    http.Handler
	}{{"bare", bare}, {"api", h}} {
		b.Run(c.name, func(b *testing.B) {
			l, err := net.Listen("tcp", "127.0.0.1:0")
			require.NoError(b, err)
			ctx, stop := context.WithCancel(b.Context())
			served := make(chan error)
			go func() { served <- server.Serve(ctx, l, c.h, server.ServeOptions{}) }()
			web := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64}}
			b.ReportAllocs()
			b.SetParallelism(16)
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					req, err := http.NewRequest("POST", "http://"+l.Addr().String()+"/v1/flows/order_shipped/runs", strings.NewReader(order))
					if err != nil {
						b.Error(err)
						return
					}
					req.Header.Set("Content-Type", "application/json")
					req.Header.Set("Authorization", auth)
					resp, err := web.Do(req)
					if err != nil {
						b.Error(err)
						return
					}
					_, _ = io.Copy(io.Discard, resp.Body)
					resp.Body.Close()
					if resp.StatusCode != 201 {
						b.Errorf("status %d", resp.StatusCode)
						return
					}
				}
			})
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "starts/s")
			web.CloseIdleConnections()
			stop()
			require.NoError(b, <-served)
		})
	}
}

// BenchmarkStepLine is what the line of a step costs, without what it is written to.
func BenchmarkStepLine(b *testing.B) {
	log := slog.New(server.View{}.Handler(slog.NewTextHandler(io.Discard, nil)))
	tell := server.View{}.StepLog(log)
	step := &machine.Step{
		Path: "notify", ID: "notify", Flow: "order_shipped", Place: "notify", Kind: "action", Action: "test.send", Status: machine.Succeeded, Attempts: 1,
		Started: began, Ended: began.Add(12345 * time.Microsecond),
	}
	b.ReportAllocs()
	for b.Loop() {
		tell("4tqj7mgr2vzq5s", step, nil)
	}
}
