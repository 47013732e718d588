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
	handle       func(*api, *request) (reply, error)
}

// A request is one that is being answered.
type request struct {
	*http.Request
	w       http.ResponseWriter
	key     Key       // the caller's; the zero Key when none was needed
	waiting bool      // for the end of a run: it is no longer counted in api.requests
	began   time.Time // zero unless requests are logged
}

// A reply is the answer to a request. A status of 0 says that the handler has written it.
type reply struct {
	status   int
	body     any
	location string
}

// done is the reply without a body.
var done = reply{status: http.StatusNoContent}

func ok(body any) (reply, error) { return reply{status: http.StatusOK, body: body}, nil }

// routes are those of the API.
func routes() []route {
	return []route{
		{"POST", "/v1/flows/{flow}/runs", ScopeRun, (*api).start},
		{"GET", "/v1/flows", ScopeRead, noParams((*api).flows)},
		{"GET", "/v1/flows/{flow}", ScopeRead, noParams((*api).flow)},
		{"POST", "/v1/reload", ScopeAdmin, noParams(withBody((*api).reload))},

		{"GET", "/v1/runs", ScopeRead, (*api).runs},
		{"GET", "/v1/runs/{run}", ScopeRead, (*api).run},
		{"POST", "/v1/runs/{run}/rerun", ScopeRun, withBody((*api).rerun)},
		{"POST", "/v1/runs/{run}/cancel", ScopeRun, noParams(withBody((*api).cancel))},
		{"POST", "/v1/runs/{run}/retry", ScopeRun, noParams(withBody((*api).retry))},
		{"POST", "/v1/runs/{run}/settle", ScopeAdmin, noParams(withBody((*api).settle))},
		{"POST", "/v1/runs/{run}/release", ScopeAdmin, noParams(withBody((*api).release))},
		{"GET", "/v1/runs/{run}/export", ScopeAdmin, noParams((*api).export)},

		{"POST", "/v1/events", ScopeRun, noParams(withBody((*api).deliver))},
		{"GET", "/v1/connections", ScopeRead, noParams((*api).connections)},
		{"GET", "/v1/holds", ScopeRead, noParams((*api).holds)},
		{"POST", "/v1/pause", ScopeAdmin, noParams(withBody((*api).pause))},
		{"POST", "/v1/resume", ScopeAdmin, noParams(withBody((*api).resume))},
		{"GET", "/v1/keys", ScopeAdmin, noParams((*api).keys)},

		{"GET", "/v1/openapi.yaml", "", (*api).openapi},
		{"GET", "/healthz", "", (*api).healthz},
		{"GET", "/readyz", "", (*api).readyz},
		{"GET", "/metrics", ScopeRead, (*api).metrics},
	}
}

// noParams refuses requests with query parameters: one may have been meant for the body, and
// must not be ignored silently.
func noParams(answer func(*api, *request) (reply, error)) func(*api, *request) (reply, error) {
	return func(a *api, req *request) (reply, error) {
		if err := newQuery(req).err(); err != nil {
			return reply{}, err
		}
		return answer(a, req)
	}
}

// mux maps the routes; other paths and methods are answered with a problem, too.
func (a *api) mux() *http.ServeMux {
	mux, methods := http.NewServeMux(), map[string][]string{}
	for _, r := range routes() {
		mux.Handle(r.method+" "+r.path, a.handler(r))
		methods[r.path] = append(methods[r.path], r.method)
	}
	for path, allowed := range methods {
		if slices.Contains(allowed, "GET") {
			allowed = append(allowed, "HEAD")
		}
		slices.Sort(allowed)
		allow := strings.Join(allowed, ", ")
		mux.Handle(path, a.handler(route{"", path, "", func(_ *api, req *request) (reply, error) {
			req.w.Header().Set("Allow", allow)
			return reply{}, problem(MethodNotAllowed, "use "+allow+"; the API is described at /v1/openapi.yaml", "%s has no %s", req.URL.Path, req.Method)
		}}))
	}
	mux.Handle("/", a.handler(route{"", "", "", func(_ *api, req *request) (reply, error) {
		return reply{}, problem(NotFound, "the API is described at /v1/openapi.yaml", "there is no %s", req.URL.Path)
	}}))
	return mux
}

// handler serves, counts and logs the requests of a route.
func (a *api) handler(r route) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r2 *http.Request) {
		req := &request{w: w, Request: r2}
		if a.Log.Enabled(req.Context(), slog.LevelDebug) {
			req.began = time.Now()
		}
		out, err := a.serve(&r, req)
		if err != nil {
			out = a.writeProblem(req, err)
		}
		a.Metrics.request(r.path, out.status)
		if !req.began.IsZero() {
			a.logRequest(req, out.status)
		}
	})
}

func (a *api) logRequest(req *request, status int) {
	a.Log.LogAttrs(req.Context(), slog.LevelDebug, "request", slog.String("method", req.Method), slog.String("path", a.View.text(req.URL.Path)),
		slog.Int("status", status), slog.Duration("took", time.Since(req.began)), slog.String("key", req.key.ID))
}

// serve answers a request that is within MaxRequests and whose key allows it.
func (a *api) serve(r *route, req *request) (out reply, err error) {
	defer func() {
		if v := recover(); v != nil {
			if v == http.ErrAbortHandler {
				panic(v)
			}
			// The panic's value may hold personal data.
			a.Log.Error("a request panicked", "route", r.method+" "+r.path, "type", fmt.Sprintf("%T", v), "stack", string(debug.Stack()))
			out, err = reply{}, problem(Internal, "see the daemon's log", "the daemon failed")
		}
	}()
	h := req.w.Header()
	h["Cache-Control"], h["X-Content-Type-Options"] = noStore, noSniff
	if r.scope != "" { // a busy daemon still answers /healthz
		if !a.requests.tryAcquire(a.MaxRequests) {
			return reply{}, a.busy()
		}
		defer func() {
			if !req.waiting {
				a.requests.release()
			}
		}()
	}
	if err := a.authorize(req, r.scope); err != nil {
		return reply{}, err
	}
	out, err = r.handle(a, req)
	if err == nil {
		err = req.write(out)
	}
	return out, err
}

func (a *api) busy() error {
	return problem(Busy, "try again in a second", "%d requests are already being answered", a.MaxRequests)
}

var (
	noStore = []string{"no-store"}
	noSniff = []string{"nosniff"}
)

// writeProblem answers with a problem and the headers of its kind.
func (a *api) writeProblem(req *request, err error) reply {
	p := a.problemOf(req, err)
	h := req.w.Header()
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
	if err := req.write(out); err != nil && !errors.Is(err, errClientGone) {
		a.Log.Error("a problem could not be sent to the client", "error", err)
	}
	return out
}
