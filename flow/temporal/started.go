package temporal

import (
	"context"
	"sync"
	"time"

	"facteur/flow/host"
	"facteur/flow/machine"

	enumspb "go.temporal.io/api/enums/v1"
)

const (
	maxStarted      = 1024
	startedTime     = time.Minute
	maxStartedBytes = 16 << 10 // of a run's start
)

// startedRuns is a cache of the runs that this process has just started. Wait need not read
// their input from the server, which is a third of what waiting costs the server.
type startedRuns struct {
	mu   sync.Mutex
	runs map[string]startedRun
}

// A startedRun is the first execution of a run.
type startedRun struct {
	execution string
	in        input
	at        time.Time
}

func (f *startedRuns) add(run, execution string, in input) {
	if len(in.Start.Body) > maxStartedBytes || in.Rejected {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.runs) >= maxStarted { // nobody waits for most of them
		clear(f.runs)
	}
	f.runs[run] = startedRun{execution, in, time.Now()}
}

// take removes a run from the cache, and returns it.
func (f *startedRuns) take(run string) (r startedRun, ok bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	r, ok = f.runs[run]
	delete(f.runs, run)
	return r, ok && time.Since(r.at) < startedTime
}

// waitStarted waits for a run that is in the cache. It returns nil unless the run succeeded in
// its first execution: others may have been retried since, here or elsewhere.
func (h *Host) waitStarted(ctx context.Context, run string) *host.Result {
	started, ok := h.started.take(run)
	if !ok {
		return nil
	}
	last, err := h.lastEvent(ctx, run, started.execution)
	if err != nil || last.GetEventType() != enumspb.EVENT_TYPE_WORKFLOW_EXECUTION_COMPLETED {
		return nil
	}
	s := &runState{in: started.in}
	s.execution.WorkflowExecution.ID = run
	if err := s.applyEnd(ctx, h, last); err != nil {
		return nil
	}
	v, err := h.view(ctx, s)
	if err != nil || v.mismatch != nil || v.m == nil || v.head().Status != machine.Succeeded || len(v.m.Unknown()) > 0 {
		return nil
	}
	return v.result()
}
