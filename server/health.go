package server

import (
	"context"
	_ "embed"
	"net/http"
	"sync"
	"time"
)

// A Check is something that the daemon needs to be ready, e.g. a journal that can be
// written.
type Check struct {
	Name string
	Do   func(ctx context.Context) error
}

const (
	checkTimeout = 2 * time.Second
	// resultsFor is how long results are cached, so that frequent requests for readiness do
	// not become as many requests to the vault.
	resultsFor = time.Second
)

// A readiness runs the checks.
type readiness struct {
	checks []Check

	mu      sync.Mutex
	at      time.Time
	results []CheckResult
}

// check returns the results of the checks, at most resultsFor old.
func (r *readiness) check(ctx context.Context) []CheckResult {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.results != nil && time.Since(r.at) < resultsFor {
		return r.results
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), checkTimeout)
	defer cancel()
	results := make([]CheckResult, len(r.checks))
	var wait sync.WaitGroup
	for i, c := range r.checks {
		wait.Go(func() {
			results[i] = CheckResult{Name: c.Name, OK: true}
			if err := c.Do(ctx); err != nil {
				results[i] = CheckResult{c.Name, false, err.Error()}
			}
		})
	}
	wait.Wait()
	r.results, r.at = results, time.Now()
	return results
}

// Health says that the daemon answers.
type Health struct {
	Status string `json:"status"` // "ok"
}

func (a *api) healthz(*request) (reply, error) { return ok(&Health{"ok"}) }

func (a *api) readyz(req *request) (reply, error) {
	out := &Readiness{Ready: true, Checks: []CheckResult{}}
	for _, c := range a.ready.check(req.Context()) {
		out.Ready = out.Ready && c.OK
		if !req.may(ScopeRead) {
			c.Error = ""
		}
		out.Checks = append(out.Checks, c)
	}
	if a.Stopping.Err() != nil {
		out.Ready = false
		out.Checks = append(out.Checks, CheckResult{Name: "stopping", Error: "the daemon is stopping and accepts nothing new"})
	}
	status := http.StatusOK
	if !out.Ready {
		status = http.StatusServiceUnavailable
	}
	return reply{status: status, body: out}, nil
}

// The description of the API.
//
//go:embed openapi.yaml
var openapi []byte

func (a *api) openapi(req *request) (reply, error) { return a.text(req, "application/yaml", openapi) }
