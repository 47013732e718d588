package server

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"facteur/flow/diag"
	"facteur/flow/host"
	"facteur/flow/plan"
	"facteur/flow/schema"
)

var startType = schema.Of[StartRequest]()

// start starts a run of a flow.
func (a *api) start(req *request) (reply, error) {
	flow := req.PathValue("flow")
	find := func() (*plan.Plan, error) { return a.plan(flow) }
	if _, err := find(); err != nil && len(req.Header["Idempotency-Key"]) == 0 {
		return reply{}, err // without reading the body
	}
	body, err := a.readObject(req, startType)
	if p, ok := errors.AsType[*Problem](err); ok && p.Kind() == Invalid {
		p.Hint = `put the flow's inputs under "inputs": {"inputs": {…}}`
	}
	if err != nil {
		return reply{}, err
	}
	inputs, _ := body["inputs"].(map[string]any)
	return a.startRun(req, flow, inputs, find)
}

// rerun starts a run with the inputs of another.
func (a *api) rerun(req *request, body RerunRequest) (reply, error) {
	r, err := a.Host.Get(req.Context(), req.PathValue("run"))
	if err != nil {
		return reply{}, err
	}
	return a.startRun(req, r.Run.Flow, r.Inputs, func() (*plan.Plan, error) { return a.planForRerun(r, body.Latest) })
}

// planForRerun returns the flow's current plan if that is the latest that is asked for or did
// not change, otherwise the one that the run was started with.
func (a *api) planForRerun(r *host.Report, latest bool) (*plan.Plan, error) {
	p, err := a.plan(r.Run.Flow)
	if latest || p != nil && p.Digest == r.Run.Digest {
		return p, err
	}
	if p, err = a.Restore(r.Run.Flow, r.Sources); err != nil {
		return nil, problem(Conflict, `rerun it with "latest": true`, "the version of the flow %s that the run had can no longer be run: %v", r.Run.Flow, err)
	}
	return p, nil
}

func (a *api) plan(name string) (*plan.Plan, error) {
	if p := a.Flows.Plan(name); p != nil {
		return p, nil
	}
	var known []string
	for _, p := range a.Flows.Plans() {
		known = append(known, p.Name)
	}
	return nil, problem(NotFound, diag.DidYouMean(name, "flows", known), "there is no flow %q", name)
}

// startRun starts a run of the plan that find finds, and waits for its end if the request says
// so. When it cannot be started now, the same key may have started it before: a client that
// were refused would take another key, and send twice.
func (a *api) startRun(req *request, flow string, inputs map[string]any, find func() (*plan.Plan, error)) (reply, error) {
	params := newQuery(req)
	wait := params.wait(a.MaxWait)
	if err := params.err(); err != nil {
		return reply{}, err
	}
	key, err := idempotencyKey(req.Request)
	if err != nil {
		return reply{}, err
	}
	if inputs == nil {
		inputs = map[string]any{}
	}
	start := host.Start{Given: inputs, Key: key, By: "api"}
	if req.key.Name != "" {
		start.By = "api key " + req.key.Name
	}
	p, err := find()
	if err == nil {
		start.Inputs, err = coerce(p, inputs)
	}
	var run host.Run
	fresh := false
	switch {
	case err == nil:
		run, fresh, err = a.Host.Start(req.Context(), p, start)
	case key != "":
		run, err = a.repeatedRun(req.Context(), flow, start, err)
	}
	out, err := a.started(run, fresh, err)
	if err != nil {
		return reply{}, err
	}
	if wait > 0 {
		a.waitForEnd(req, out, wait)
	}
	status := http.StatusCreated
	if out.Repeated {
		status = http.StatusOK
	}
	return reply{status, out, "/v1/runs/" + out.RunID}, nil
}

// repeatedRun returns the run that was started with the same key before. If there is none, the
// error is why.
func (a *api) repeatedRun(ctx context.Context, flow string, s host.Start, why error) (host.Run, error) {
	run, err := a.Host.First(ctx, flow, s.Key, s.Given)
	if _, none := errors.AsType[*host.NotFoundError](err); none {
		err = why
	}
	return run, err
}

func coerce(p *plan.Plan, inputs map[string]any) (map[string]any, error) {
	coerced, found := p.Inputs.Coerce(inputs)
	if found.Err() != nil {
		return nil, invalidValue("inputs", "the inputs of "+p.Name+" are wrong", found)
	}
	out, _ := coerced.(map[string]any)
	return out, nil
}

// started is the answer about a run that the host has stored.
func (a *api) started(run host.Run, fresh bool, err error) (*Started, error) {
	if err != nil {
		return nil, err
	}
	if run.Status == host.Rejected {
		p := problem(Rejected, "start it again with a new key when other runs have ended", "the flow %s already has as many active runs as its concurrency allows", run.Flow)
		p.RunID = run.ID
		return nil, p
	}
	return &Started{Run: a.View.Run(run), Repeated: !fresh}, nil
}

// waitForEnd waits for the run's end and adds its result. An error while waiting is only
// logged: the run was started, and the answer must say so.
func (a *api) waitForEnd(req *request, out *Started, wait time.Duration) {
	result := a.await(req, out.RunID, wait)
	if result == nil {
		return
	}
	out.Status, out.EndedAt = result.Status, result.Ended.UTC()
	out.Unknown = unknown(result.Steps)
	m := a.View.masker(result.Sensitive)
	out.Error = m.failure(result.Error, result.Step)
	out.Outputs = m.object(result.Outputs)
	if !out.Repeated {
		out.Outputs, _ = schema.JSON(result.Outputs).(map[string]any)
	}
}

// await returns the result of a run, nil when it has not ended in time.
func (a *api) await(req *request, run string, wait time.Duration) *host.Result {
	if !a.waits.tryAcquire(a.MaxWaits) {
		return nil
	}
	defer a.waits.release()
	a.requests.release() // so that waiting requests do not keep others out
	req.waiting = true
	ctx, cancel := context.WithTimeout(req.Context(), wait)
	defer cancel()
	defer context.AfterFunc(a.Stopping, cancel)()
	result, err := a.Host.Wait(ctx, run)
	if err != nil {
		if _, stops := errors.AsType[*host.StoppingError](err); !stops && ctx.Err() == nil {
			a.Log.Error("waiting for a run failed", "run", run, "error", a.View.text(err.Error()))
		}
		return nil
	}
	return result
}

// maxKeyLen bounds an idempotency key, in bytes.
const maxKeyLen = 255

// idempotencyKey reads the key of a start, with or without quotes around it.
func idempotencyKey(r *http.Request) (string, error) {
	given := r.Header["Idempotency-Key"]
	if len(given) == 0 {
		return "", nil
	}
	key := given[0]
	if len(key) >= 2 && key[0] == '"' && key[len(key)-1] == '"' {
		key = key[1 : len(key)-1]
	}
	reason := ""
	switch {
	case len(given) > 1:
		reason = "it is given more than once"
	case key == "":
		reason = "it is empty"
	case len(key) > maxKeyLen:
		reason = fmt.Sprintf("it has %d bytes, at most %d are allowed", len(key), maxKeyLen)
	case strings.ContainsFunc(key, func(r rune) bool { return r < ' ' || r > '~' }):
		reason = "it contains characters that are not printable ASCII"
	default:
		return key, nil
	}
	return "", invalidRequest("the idempotency key is wrong", FieldError{Path: "header.Idempotency-Key", Message: reason, Hint: "use a UUID or an order number, for example"})
}
