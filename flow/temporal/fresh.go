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
	maxFresh   = 1024
	freshTime  = time.Minute
	freshBytes = 16 << 10 // of what one begins with
)

// fresh are the runs that this process has just started. Who waits for one of them need not
// ask the server how it began, which is a third of what the waiting costs the server.
type fresh struct {
	mu   sync.Mutex
	runs map[string]begun
	line []string // the oldest first
}

// A begun is a run as it began.
type begun struct {
	execution string
	in        input
	at        time.Time
}

func (f *fresh) keep(run, execution string, in input) {
	if len(in.Start.Body) > freshBytes || in.Rejected {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.runs == nil {
		f.runs = map[string]begun{}
	}
	if len(f.line) >= maxFresh {
		delete(f.runs, f.line[0])
		f.line = f.line[1:]
	}
	f.runs[run] = begun{execution, in, time.Now()}
	f.line = append(f.line, run)
}

// take returns how a run began, once.
func (f *fresh) take(run string) (one begun, ok bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	one, ok = f.runs[run]
	delete(f.runs, run)
	return one, ok && time.Since(one.at) < freshTime
}

// waitFresh waits for a run of which it is known how it began. It returns nil if that is not
// all there is to know: nothing has become of one that succeeded, while others may have been
// retried since, here or elsewhere.
func (h *Host) waitFresh(ctx context.Context, run string) *host.Result {
	one, ok := h.fresh.take(run)
	if !ok {
		return nil
	}
	last, err := h.lastEvent(ctx, run, one.execution)
	if err != nil || last.GetEventType() != enumspb.EVENT_TYPE_WORKFLOW_EXECUTION_COMPLETED {
		return nil
	}
	s := &state{in: one.in}
	s.execution.WorkflowExecution.ID = run
	if err := s.close(ctx, h, last); err != nil {
		return nil
	}
	v, err := h.view(ctx, s)
	if err != nil || v.mismatch != nil || v.m == nil || v.head().Status != machine.Succeeded || len(v.m.Unknown()) > 0 {
		return nil
	}
	return v.result()
}
