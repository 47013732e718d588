package server

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
	"slices"
	"strings"
	"time"
)

// A route is a method and a path that the API serves.
type route struct {
	method, path string
	scope        Scope // "": nobody needs a key
	answer       func(*api, *ask) (reply, error)
}

// An ask is one request that is being answered.
type ask struct {
	*http.Request
	w       http.ResponseWriter
	by      Key       // the zero Key when none was needed
	waiting bool      // it has left api.requests
	began   time.Time // zero unless requests are logged
}

// A reply is what a request is answered. One without a status was written already.
type reply struct {
	status   int
	body     any
	location string
}

// done is the reply to what has nothing to say.
var done = reply{status: http.StatusNoContent}

func ok(body any) (reply, error) { return reply{status: http.StatusOK, body: body}, nil }

func (a *api) routes() []route {
	routes := []route{
		{"POST", "/v1/flows/{flow}/runs", ScopeRun, (*api).start},
		{"GET", "/v1/flows", ScopeRead, bare((*api).flows)},
		{"GET", "/v1/flows/{flow}", ScopeRead, bare((*api).flow)},
		{"POST", "/v1/reload", ScopeAdmin, bare(with((*api).reload))},

		{"GET", "/v1/runs", ScopeRead, (*api).runs},
		{"GET", "/v1/runs/{run}", ScopeRead, (*api).run},
		{"POST", "/v1/runs/{run}/rerun", ScopeRun, with((*api).rerun)},
		{"POST", "/v1/runs/{run}/cancel", ScopeRun, bare(with((*api).cancel))},
		{"POST", "/v1/runs/{run}/retry", ScopeRun, bare(with((*api).retry))},
		{"POST", "/v1/runs/{run}/settle", ScopeAdmin, bare(with((*api).settle))},
		{"POST", "/v1/runs/{run}/release", ScopeAdmin, bare(with((*api).release))},

		{"POST", "/v1/events", ScopeRun, bare(with((*api).deliver))},
		{"GET", "/v1/connections", ScopeRead, bare((*api).connections)},
		{"GET", "/v1/holds", ScopeRead, bare((*api).holds)},
		{"POST", "/v1/pause", ScopeAdmin, bare(with((*api).pause))},
		{"POST", "/v1/resume", ScopeAdmin, bare(with((*api).resume))},
		{"GET", "/v1/keys", ScopeAdmin, bare((*api).keys)},

		{"GET", "/v1/openapi.yaml", "", (*api).openapi},
		{"GET", "/healthz", "", (*api).healthz},
		{"GET", "/readyz", "", (*api).readyz},
	}
	if a.Export != nil {
		routes = append(routes, route{"GET", "/v1/runs/{run}/export", ScopeAdmin, bare((*api).export)})
	}
	if a.Metrics != nil {
		routes = append(routes, route{"GET", "/metrics", ScopeRead, (*api).metrics})
	}
	return routes
}

// bare answers requests that have no parameters. One that is given may be meant for the body,
// and must not be lost in silence.
func bare(answer func(*api, *ask) (reply, error)) func(*api, *ask) (reply, error) {
	return func(a *api, q *ask) (reply, error) {
		if err := newQuery(q).err(); err != nil {
			return reply{}, err
		}
		return answer(a, q)
	}
}

// mux sends each request to its route; what has none gets a problem, too.
func (a *api) mux() *http.ServeMux {
	mux, methods := http.NewServeMux(), map[string][]string{}
	for _, r := range a.routes() {
		mux.Handle(r.method+" "+r.path, a.handler(r))
		methods[r.path] = append(methods[r.path], r.method)
	}
	for path, allowed := range methods {
		if slices.Contains(allowed, "GET") {
			allowed = append(allowed, "HEAD")
		}
		slices.Sort(allowed)
		allow := strings.Join(allowed, ", ")
		mux.Handle(path, a.handler(route{"", path, "", func(_ *api, q *ask) (reply, error) {
			q.w.Header().Set("Allow", allow)
			return reply{}, problem(MethodNotAllowed, "use "+allow+"; the API is described at /v1/openapi.yaml", "%s has no %s", q.URL.Path, q.Method)
		}}))
	}
	mux.Handle("/", a.handler(route{"", "", "", func(_ *api, q *ask) (reply, error) {
		return reply{}, problem(NotFound, "the API is described at /v1/openapi.yaml", "there is no %s", q.URL.Path)
	}}))
	return mux
}

// handler is what all requests of a route go through.
func (a *api) handler(r route) http.Handler {
	count := a.Metrics.route(r.path)
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		q := &ask{w: w, Request: req}
		if a.Log.Enabled(req.Context(), slog.LevelDebug) {
			q.began = time.Now()
		}
		out, err := a.admit(&r, q)
		if err != nil {
			out = a.fail(q, err)
		}
		count(out.status)
		if !q.began.IsZero() {
			a.logRequest(q, out.status)
		}
	})
}

func (a *api) logRequest(q *ask, status int) {
	a.Log.LogAttrs(q.Context(), slog.LevelDebug, "request", slog.String("method", q.Method), slog.String("path", a.View.text(q.URL.Path)),
		slog.Int("status", status), slog.Duration("took", time.Since(q.began)), slog.String("key", q.by.ID))
}

// admit answers a request, if there is room for it and it may ask.
func (a *api) admit(r *route, q *ask) (out reply, err error) {
	defer func() {
		if v := recover(); v != nil {
			if v == http.ErrAbortHandler {
				panic(v)
			}
			// What was panicked with may hold what people wrote.
			a.Log.Error("a request panicked", "route", r.method+" "+r.path, "type", fmt.Sprintf("%T", v), "stack", string(debug.Stack()))
			out, err = reply{}, problem(Internal, "its log says more", "the daemon failed")
		}
	}()
	h := q.w.Header()
	h["Cache-Control"], h["X-Content-Type-Options"] = noStore, noSniff
	if r.scope != "" { // a daemon that is busy is healthy
		if !a.requests.enter(a.MaxRequests) {
			return reply{}, a.busy()
		}
		defer func() {
			if !q.waiting {
				a.requests.leave()
			}
		}()
	}
	if err := a.access(q, r.scope); err != nil {
		return reply{}, err
	}
	out, err = r.answer(a, q)
	if err == nil {
		err = q.write(out)
	}
	return out, err
}

func (a *api) busy() error {
	return problem(Busy, "try again in a second", "%d requests are being answered already", a.MaxRequests)
}

var (
	noStore = []string{"no-store"}
	noSniff = []string{"nosniff"}
)

// fail tells what went wrong.
func (a *api) fail(q *ask, err error) reply {
	p := a.problemOf(q, err)
	h := q.w.Header()
	switch p.Kind() {
	case Busy, Stopping:
		h.Set("Retry-After", "1")
	case Unavailable:
		h.Set("Retry-After", "5")
	case Unauthorized:
		h.Set("WWW-Authenticate", "Bearer")
	case TooSlow, TooLarge:
		h.Set("Connection", "close")
	}
	out := reply{status: p.Status, body: p}
	if err := q.write(out); err != nil && !errors.Is(err, errGone) {
		a.Log.Error("a problem could not be told", "error", err)
	}
	return out
}
