// Package server is the daemon's face over HTTP: the API under /v1, its description in
// OpenAPI, keys, health and metrics. New gives it as an http.Handler over a host.Host,
// Serve listens; a Client asks one from elsewhere. Use it wherever programs or people
// start runs and look after them.
package server

import (
	"cmp"
	"context"
	"log/slog"
	"net/http"
	"sync/atomic"
	"time"

	"facteur/flow/call"
	"facteur/flow/diag"
	"facteur/flow/host"
	"facteur/flow/plan"
)

// Options are what the API works with. All but Keys and the limits are required.
type Options struct {
	Host  host.Host
	Flows Flows
	// Keys are the API keys. nil: there are none.
	Keys *Keys
	// Open lets requests in without a key until the first key is made. It is only for a
	// loopback address: requests of web pages, and those whose Host is not the loopback,
	// are refused then.
	Open bool
	// Connections lists the project's connections, by name.
	Connections func(ctx context.Context) ([]Connection, error)
	// Event returns a kind of event that may be delivered, or nil.
	Event func(name string) *call.Event
	// Aliases returns all names of the subject of an event.
	Aliases func(ctx context.Context, kind, subject string) ([]string, error)
	// Restore compiles sources that were stored with a run.
	Restore func(flow string, sources map[string]string) (*plan.Plan, error)
	// Export writes a run as a flow test, in YAML.
	Export func(ctx context.Context, r *host.Report) ([]byte, error)
	// Unreachable reports whether an error means that something the daemon needs cannot be
	// reached now, besides errors with a method Temporary that returns true.
	Unreachable func(err error) bool
	// Checks are what the daemon needs to be ready.
	Checks  []Check
	Metrics *Metrics
	Log     *slog.Logger // of requests, at debug, and of failures
	// View says what is shown of runs.
	View View
	// Stopping ends waits for runs when it ends.
	Stopping context.Context

	MaxBody     int64         // in bytes; 0: 1 MiB
	MaxWait     time.Duration // the longest wait for a run's end; 0: 60 s
	MaxRequests int           // at the same time, without those that wait; 0: 512
	MaxWaits    int           // that wait for a run's end at the same time; more are answered at once; 0: 1024
}

// Flows are the project's flows. It is safe for concurrent use.
type Flows interface {
	// Plans returns the plans that runs start with now, by name.
	Plans() []*plan.Plan
	// Plan returns one of them, or nil.
	Plan(name string) *plan.Plan
	// Reload reads the flows again. If none of the diagnostics is an error, runs start
	// with what it read from now on, otherwise nothing has changed. An error says that
	// they could not be read.
	Reload(ctx context.Context) (diag.List, error)
}

// New returns the API. More can be mounted on it, at other paths.
func New(o Options) *http.ServeMux {
	o.MaxBody = cmp.Or(o.MaxBody, 1<<20)
	o.MaxWait = cmp.Or(o.MaxWait, time.Minute)
	o.MaxRequests = cmp.Or(o.MaxRequests, 512)
	o.MaxWaits = cmp.Or(o.MaxWaits, 1024)
	a := &api{Options: o}
	a.ready.checks = o.Checks
	return a.mux()
}

// An api serves the routes.
type api struct {
	Options
	requests, waits semaphore
	ready           readiness
}

// A semaphore counts what is under way; nobody waits for it.
type semaphore struct{ n atomic.Int64 }

// tryAcquire reports whether fewer than limit were under way. The caller must release it then.
func (g *semaphore) tryAcquire(limit int) bool {
	if g.n.Add(1) <= int64(limit) {
		return true
	}
	g.n.Add(-1)
	return false
}

func (g *semaphore) release() { g.n.Add(-1) }
