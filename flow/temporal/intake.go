package temporal

import (
	"context"
	"errors"
	"sync"
	"time"

	"facteur/flow/host"
	"facteur/flow/machine/stored"

	failurepb "go.temporal.io/api/failure/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/api/workflowservice/v1"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
)

// An intake keeps track of the calls that the server hands to this process. When its workers
// stop, the SDK cuts off who waits for calls, and drops those that it has not begun; the
// server would take them for lost half a minute later, and nobody would know whether they
// were made. Here they surely were not: the intake gives them back.
type intake struct {
	life context.Context // of those who wait for calls
	cut  context.CancelFunc

	mu    sync.Mutex
	given map[string]bool // by the token of the task: handed over, and not begun
	waits int             // who wait for the server
	ended chan struct{}   // is told when one has waited enough
	stray []task          // came when nobody was there to begin them
}

// A task is an activity that the server handed over.
type task struct {
	token  []byte
	isCall bool
}

func newIntake() *intake {
	in := &intake{given: map[string]bool{}, ended: make(chan struct{}, 1)}
	in.life, in.cut = context.WithCancel(context.Background())
	return in
}

// longestPoll bounds how long anybody waits for the server to hand something over.
const longestPoll = 2 * time.Minute

// intercept sees what the server answers to the SDK.
func (in *intake) intercept(ctx context.Context, method string, req, reply any, conn *grpc.ClientConn, ask grpc.UnaryInvoker, o ...grpc.CallOption) error {
	switch reply := reply.(type) {
	case *workflowservice.PollActivityTaskQueueResponse:
		return in.poll(ctx, reply, func(ctx context.Context, into any) error { return ask(ctx, method, req, into, conn, o...) })
	case *workflowservice.RespondWorkflowTaskCompletedResponse:
		err := ask(ctx, method, req, reply, conn, o...)
		for _, t := range reply.GetActivityTasks() {
			in.take(t)
		}
		return err
	}
	return ask(ctx, method, req, reply, conn, o...)
}

// poll waits for an activity. Who asked may leave: what comes then is given back.
func (in *intake) poll(ctx context.Context, into *workflowservice.PollActivityTaskQueueResponse, ask func(context.Context, any) error) error {
	deadline, limited := ctx.Deadline()
	if !limited {
		deadline = time.Now().Add(longestPoll)
	}
	free, end := context.WithDeadline(context.WithoutCancel(ctx), deadline)
	release := context.AfterFunc(in.life, end)
	came := &workflowservice.PollActivityTaskQueueResponse{}
	answered := make(chan error) // is not buffered: what is not received here is a stray
	in.mu.Lock()
	in.waits++
	in.mu.Unlock()
	go func() {
		defer in.leave()
		defer end()
		defer release()
		err := ask(free, came)
		select {
		case answered <- err:
		case <-ctx.Done():
			if err == nil && len(came.GetTaskToken()) > 0 {
				in.mu.Lock()
				in.stray = append(in.stray, taskOf(came))
				in.mu.Unlock()
			}
		}
	}()
	select {
	case err := <-answered:
		proto.Merge(into, came)
		in.take(came)
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (in *intake) leave() {
	in.mu.Lock()
	in.waits--
	in.mu.Unlock()
	select {
	case in.ended <- struct{}{}:
	default:
	}
}

func taskOf(came *workflowservice.PollActivityTaskQueueResponse) task {
	return task{came.GetTaskToken(), isCall(came.GetActivityType().GetName())}
}

// take notes that a call was handed over.
func (in *intake) take(came *workflowservice.PollActivityTaskQueueResponse) {
	if t := taskOf(came); t.isCall && len(t.token) > 0 {
		in.mu.Lock()
		in.given[string(t.token)] = true
		in.mu.Unlock()
	}
}

// begin notes that a call begins, and tells whether it may: it was not given back.
func (in *intake) begin(token []byte) bool {
	if in == nil {
		return true // nothing is handed over in a test without a server
	}
	in.mu.Lock()
	defer in.mu.Unlock()
	fresh := in.given[string(token)]
	delete(in.given, string(token))
	return fresh
}

// left returns what nobody is there to begin; with all, also what was not begun yet, and
// now never will be.
func (in *intake) left(all bool) []task {
	in.mu.Lock()
	defer in.mu.Unlock()
	out := in.stray
	in.stray = nil
	if !all {
		return out
	}
	for token := range in.given {
		out = append(out, task{[]byte(token), true})
	}
	clear(in.given)
	return out
}

func (in *intake) isWaiting() bool {
	in.mu.Lock()
	defer in.mu.Unlock()
	return in.waits > 0
}

// giveBack gives back what the server hands over while the workers stop, and after they have
// stopped, until nothing has come for a while.
func (h *Host) giveBack(ctx context.Context, stopped <-chan struct{}) {
	defer h.intake.cut()
	var all sync.WaitGroup
	defer all.Wait()
	quiet := time.NewTimer(longestPoll)
	for over := false; ; {
		tasks := h.intake.left(over)
		for _, t := range tasks {
			all.Go(func() {
				if err := h.returnTask(ctx, t); err != nil {
					h.opts.Log.Warn("a call that was not made could not be given back: its outcome will be unknown", "error", err)
				}
			})
		}
		switch {
		case over && !h.intake.isWaiting():
			return
		case over && len(tasks) > 0:
			quiet.Reset(h.quiet())
		}
		select {
		case <-h.intake.ended:
		case <-stopped:
			stopped, over = nil, true
			quiet.Reset(h.quiet())
		case <-quiet.C:
			return
		}
	}
}

// quiet is for how long nothing has to come before nobody waits for it any more.
func (h *Host) quiet() time.Duration { return h.opts.Lost / 20 }

// How long it may take to give something back, and one try at it.
const (
	returnTime = 20 * time.Second
	returnTry  = 5 * time.Second
)

// returnTask tries until the server has it back, or does not want it any more.
func (h *Host) returnTask(ctx context.Context, t task) error {
	ctx, end := context.WithTimeout(context.WithoutCancel(ctx), returnTime)
	defer end()
	for {
		try, done := context.WithTimeout(ctx, returnTry)
		err := h.tryReturn(try, t)
		done()
		missing := (*serviceerror.NotFound)(nil)
		if err == nil || errors.As(err, &missing) || !host.Sleep(ctx, returnTry/50) {
			return err
		}
	}
}

var errGivenBack = errors.New("the daemon stops, and has given the call back")

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
	result, err := newConverter(h.opts).ToPayloads(answer{Outcome: stored.OfOutcome(host.StoppedOutcome())})
	if err != nil {
		return err
	}
	_, err = service.RespondActivityTaskCompleted(ctx, &workflowservice.RespondActivityTaskCompletedRequest{
		Namespace: h.opts.Namespace, TaskToken: t.token, Result: result,
	})
	return err
}
