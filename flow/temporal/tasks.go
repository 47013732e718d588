package temporal

import (
	"context"
	"errors"
	"sync"
	"time"

	"facteur/flow/host"
	"facteur/flow/machine/stored"

	failurepb "go.temporal.io/api/failure/v1"
	"go.temporal.io/api/workflowservice/v1"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
)

// A taskTracker tracks the calls that the server hands to this process. When a worker stops,
// the SDK cancels its polls, and drops the activities that it has not started; the server
// would count them as lost half a minute later, and their outcome would be unknown. But they
// certainly were not made, so the host returns them to the server.
type taskTracker struct {
	ctx    context.Context // of polls
	cancel context.CancelFunc

	mu        sync.Mutex
	unstarted map[string]bool // by task token: calls that were received, and not started
	pollers   int             // polls that wait for the server
	pollEnded chan struct{}   // receives when a poll has ended
	orphaned  []task          // received after the SDK had cancelled the poll
}

// A task is an activity that the server handed to a worker.
type task struct {
	token  []byte
	isCall bool
}

func newTaskTracker() *taskTracker {
	in := &taskTracker{unstarted: map[string]bool{}, pollEnded: make(chan struct{}, 1)}
	in.ctx, in.cancel = context.WithCancel(context.Background())
	return in
}

// longestPoll bounds how long a poll waits for the server.
const longestPoll = 2 * time.Minute

// intercept is a gRPC interceptor that sees the server's answers to the SDK.
func (in *taskTracker) intercept(ctx context.Context, method string, req, reply any, conn *grpc.ClientConn, invoke grpc.UnaryInvoker, o ...grpc.CallOption) error {
	switch reply := reply.(type) {
	case *workflowservice.PollActivityTaskQueueResponse:
		return in.poll(ctx, reply, func(ctx context.Context, into any) error { return invoke(ctx, method, req, into, conn, o...) })
	case *workflowservice.RespondWorkflowTaskCompletedResponse:
		err := invoke(ctx, method, req, reply, conn, o...)
		for _, t := range reply.GetActivityTasks() {
			in.track(t)
		}
		return err
	}
	return invoke(ctx, method, req, reply, conn, o...)
}

// poll waits for an activity. If ctx ends it returns, but the request goes on: an activity
// that comes then is orphaned.
func (in *taskTracker) poll(ctx context.Context, into *workflowservice.PollActivityTaskQueueResponse, invoke func(context.Context, any) error) error {
	deadline, limited := ctx.Deadline()
	if !limited {
		deadline = time.Now().Add(longestPoll)
	}
	detached, end := context.WithDeadline(context.WithoutCancel(ctx), deadline)
	release := context.AfterFunc(in.ctx, end)
	reply := &workflowservice.PollActivityTaskQueueResponse{}
	answered := make(chan error) // unbuffered: a reply that is not received below is orphaned
	in.mu.Lock()
	in.pollers++
	in.mu.Unlock()
	go func() {
		defer in.endPoll()
		defer end()
		defer release()
		err := invoke(detached, reply)
		select {
		case answered <- err:
		case <-ctx.Done():
			if err == nil && len(reply.GetTaskToken()) > 0 {
				in.mu.Lock()
				in.orphaned = append(in.orphaned, taskOf(reply))
				in.mu.Unlock()
			}
		}
	}()
	select {
	case err := <-answered:
		proto.Merge(into, reply)
		in.track(reply)
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (in *taskTracker) endPoll() {
	in.mu.Lock()
	in.pollers--
	in.mu.Unlock()
	select {
	case in.pollEnded <- struct{}{}:
	default:
	}
}

func taskOf(reply *workflowservice.PollActivityTaskQueueResponse) task {
	return task{reply.GetTaskToken(), isCall(reply.GetActivityType().GetName())}
}

// track adds a call that was received.
func (in *taskTracker) track(reply *workflowservice.PollActivityTaskQueueResponse) {
	if t := taskOf(reply); t.isCall && len(t.token) > 0 {
		in.mu.Lock()
		in.unstarted[string(t.token)] = true
		in.mu.Unlock()
	}
}

// begin removes a call that is about to start, and reports whether it may: it was not
// returned.
func (in *taskTracker) begin(token []byte) bool {
	if in == nil {
		return true // in a test without a server
	}
	in.mu.Lock()
	defer in.mu.Unlock()
	fresh := in.unstarted[string(token)]
	delete(in.unstarted, string(token))
	return fresh
}

// takeUnstarted returns the orphaned tasks; with all, also the unstarted ones, which then may
// not start any more.
func (in *taskTracker) takeUnstarted(all bool) []task {
	in.mu.Lock()
	defer in.mu.Unlock()
	out := in.orphaned
	in.orphaned = nil
	if !all {
		return out
	}
	for token := range in.unstarted {
		out = append(out, task{[]byte(token), true})
	}
	clear(in.unstarted)
	return out
}

func (in *taskTracker) isPolling() bool {
	in.mu.Lock()
	defer in.mu.Unlock()
	return in.pollers > 0
}

// returnTasks returns the tasks that come while the workers stop, and those that were not
// started when stopped is closed, until no poll waits or nothing has come for a while.
func (h *Host) returnTasks(ctx context.Context, stopped <-chan struct{}) {
	defer h.tasks.cancel()
	var all sync.WaitGroup
	defer all.Wait()
	quiet := time.NewTimer(longestPoll)
	for over := false; ; {
		tasks := h.tasks.takeUnstarted(over)
		for _, t := range tasks {
			all.Go(func() {
				if err := h.returnTask(ctx, t); err != nil {
					h.opts.Log.Warn("a call that was not made could not be given back: its outcome will be unknown", "error", err)
				}
			})
		}
		switch {
		case over && !h.tasks.isPolling():
			return
		case over && len(tasks) > 0:
			quiet.Reset(h.returnQuiet())
		}
		select {
		case <-h.tasks.pollEnded:
		case <-stopped:
			stopped, over = nil, true
			quiet.Reset(h.returnQuiet())
		case <-quiet.C:
			return
		}
	}
}

// returnQuiet is how long returnTasks waits for further tasks after the last one.
func (h *Host) returnQuiet() time.Duration { return h.opts.Lost / 20 }

const (
	returnTime = 20 * time.Second // bounds the return of a task …
	returnTry  = 5 * time.Second  // … and each attempt at it
)

// returnTask returns a task. It tries again until the server has it, or has given it up.
func (h *Host) returnTask(ctx context.Context, t task) error {
	ctx, end := context.WithTimeout(context.WithoutCancel(ctx), returnTime)
	defer end()
	for {
		try, done := context.WithTimeout(ctx, returnTry)
		err := h.tryReturn(try, t)
		done()
		if err == nil || isNotFound(err) || !host.Sleep(ctx, returnTry/50) {
			return err
		}
	}
}

var errReturned = errors.New("the daemon stops, and has given the call back")

func (h *Host) tryReturn(ctx context.Context, t task) error {
	service := h.client.WorkflowService()
	if !t.isCall {
		_, err := service.RespondActivityTaskFailed(ctx, &workflowservice.RespondActivityTaskFailedRequest{
			Namespace: h.opts.Namespace, TaskToken: t.token,
			Failure: &failurepb.Failure{Message: "the daemon stops", FailureInfo: &failurepb.Failure_ApplicationFailureInfo{
				ApplicationFailureInfo: &failurepb.ApplicationFailureInfo{Type: "facteur.stopping"},
			}},
		})
		return err
	}
	result, err := h.data.ToPayloads(callResult{Outcome: stored.OfOutcome(host.StoppedOutcome())})
	if err != nil {
		return err
	}
	_, err = service.RespondActivityTaskCompleted(ctx, &workflowservice.RespondActivityTaskCompletedRequest{
		Namespace: h.opts.Namespace, TaskToken: t.token, Result: result,
	})
	return err
}
