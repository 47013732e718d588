package temporal

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"facteur/flow/call"
	"facteur/flow/host"
	"facteur/flow/machine"
	"facteur/flow/machine/stored"
	"facteur/flow/plan"

	"github.com/stretchr/testify/mock"
	commonpb "go.temporal.io/api/common/v1"
	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/testsuite"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"
)

// Codec returns the payload codec of these options.
func Codec(o Options) interface {
	Encode([]*commonpb.Payload) ([]*commonpb.Payload, error)
	Decode([]*commonpb.Payload) ([]*commonpb.Payload, error)
} {
	return &codec{o.Seal, o.Open}
}

// GroupBySubject groups events as Deliver does.
func GroupBySubject(events []host.Event) [][]host.Event { return groupBySubject(events) }

// A TestEnv executes one workflow in the SDK's test environment, which skips time.
type TestEnv struct {
	*testsuite.TestWorkflowEnvironment
	host *Host
}

// NewTestEnv returns an environment for a workflow of a host.
func NewTestEnv(o Options, id string) *TestEnv {
	var suite testsuite.WorkflowTestSuite
	suite.SetLogger(sdkLogger{o.withDefaults().Log})
	s := &TestEnv{suite.NewTestWorkflowEnvironment(), newHost(o)}
	s.host.senders.stopped = true
	s.SetTestTimeout(time.Minute) // however slow the machine is
	s.SetWorkerOptions(worker.Options{DeadlockDetectionTimeout: time.Minute})
	for name, f := range s.host.workflows() {
		s.RegisterWorkflowWithOptions(f, workflow.RegisterOptions{Name: name})
	}
	for name, f := range s.host.activities() {
		s.RegisterActivityWithOptions(f, activity.RegisterOptions{Name: name})
	}
	s.SetStartWorkflowOptions(client.StartWorkflowOptions{ID: id, TaskQueue: "facteur"})
	s.OnUpsertTypedSearchAttributes(mock.Anything).Return(nil)
	return s
}

// A CallResult is the mocked result of one call.
type CallResult struct {
	After   time.Duration
	Outcome call.Outcome
	Error   error // of the activity: there was no answer
}

// Calls mocks the calls of a run with these results, one after the other, and returns the list
// to which it adds the calls that are made.
func (s *TestEnv) Calls(fates ...CallResult) *[]call.Call {
	var made []call.Call
	for _, f := range fates {
		for _, name := range []string{callActivity, beginActivity} {
			s.OnActivity(name, mock.Anything, mock.Anything).After(f.After).Return(func(_ context.Context, one callInput) (callResult, error) {
				made = append(made, one.Call.Call())
				hold := ""
				if f.Outcome.Held {
					hold = "connection/shop"
				}
				return callResult{Outcome: stored.OfOutcome(f.Outcome), Hold: hold}, f.Error
			}).Once()
		}
	}
	return &made
}

// PastFails mocks past receipts: none at the first request, an error at the second.
func (s *TestEnv) PastFails() {
	s.OnActivity(pastActivity, mock.Anything, mock.Anything, mock.Anything).Return(nil, nil).Once()
	s.OnActivity(pastActivity, mock.Anything, mock.Anything, mock.Anything).Return(nil, errors.New("the ledger does not answer")).Times(3)
}

// Past mocks past receipts.
func (s *TestEnv) Past(list ...call.Receipt) {
	var form []stored.Receipt
	for _, r := range list {
		form = append(form, stored.OfReceipt(r))
	}
	s.OnActivity(pastActivity, mock.Anything, mock.Anything, mock.Anything).Return(form, nil)
}

// Signal signals the workflow after a while.
func (s *TestEnv) Signal(after time.Duration, signal string, arg any) {
	if r, ok := arg.(call.Receipt); ok {
		arg = []stored.Receipt{stored.OfReceipt(r)}
	}
	s.RegisterDelayedCallback(func() { s.SignalWorkflow(signal, arg) }, after)
}

// The signals of a run.
const (
	Receipts = receiptsSignal
	Cancel   = cancelSignal
	Lifted   = liftedSignal
)

// Run executes a run with a version of the machine, and returns the machine at its end; nil if
// the workflow does not answer the query.
func (s *TestEnv) Run(p *plan.Plan, version int, inputs map[string]any) *machine.Machine {
	start, err := stored.EncodeStart(nil, machine.Start{Run: "run", At: s.Now(), Inputs: inputs, Seed: make([]byte, 32), Receipts: true})
	if err != nil {
		panic(err)
	}
	in := input{Machine: version, Flow: p.Name, Digest: p.Digest, Sources: p.Texts, Start: start, Past: true, Begins: true, ChecksReceipts: true}
	s.ExecuteWorkflow(runType, in)
	var answer report
	value, err := s.QueryWorkflow(reportQuery, reportRequest{})
	if err != nil || value.Get(&answer) != nil {
		return nil
	}
	first, err := stored.DecodeStart("run", start)
	if err != nil {
		panic(err)
	}
	m, err := rebuild(p, first, nil, answer.Record.Events, nil)
	if err != nil {
		panic(err)
	}
	return m
}

// Mailbox delivers events to a mailbox, then subscribes a run, and returns the ids of the events
// that the run gets.
func (s *TestEnv) Mailbox(events []host.Event) (got []string) {
	for i, e := range events {
		form, err := formOf(e)
		if err != nil {
			panic(err)
		}
		s.Signal(time.Duration(i)*time.Second, deliverySignal, delivery{Event: form, Workflow: "event"})
	}
	s.Signal(time.Duration(len(events))*time.Second, subscribeSignal, subscriptionForm{Run: "reader", Await: 1})
	s.OnSignalExternalWorkflow(mock.Anything, "event", "", mailboxReplySignal, mock.Anything).Return(nil)
	s.OnSignalExternalWorkflow(mock.Anything, "reader", "", arrivedSignal, mock.Anything).Return(func(_, _, _, _ string, arg any) error {
		text, err := json.Marshal(arg)
		var a arrivedEvents
		if err == nil {
			err = json.Unmarshal(text, &a)
		}
		for _, d := range a.Deliveries {
			got = append(got, d.Event.ID)
		}
		return err
	})
	s.ExecuteWorkflow(mailboxType, mailboxInput{})
	return got
}

// Event executes the workflow of an event whose mailbox cannot be reached for a while, and which
// a run then consumes. It returns what Fire is called with.
func (s *TestEnv) Event(unreachable time.Duration) (claimed []bool) {
	began := s.Now()
	s.OnActivity(offerActivity, mock.Anything, mock.Anything).Return(func(context.Context, eventInput) error {
		if s.Now().Sub(began) < unreachable {
			return errors.New("the server is overloaded")
		}
		s.Signal(time.Second, mailboxReplySignal, mailboxReply{Mailbox: "box", Runs: []string{"run"}})
		s.Signal(2*time.Second, runReplySignal, runReply{Run: "run", Claimed: true})
		return nil
	})
	s.OnActivity(fireActivity, mock.Anything, mock.Anything, mock.Anything).Return(func(_ context.Context, _ eventForm, by bool) error {
		claimed = append(claimed, by)
		return nil
	})
	s.ExecuteWorkflow(eventType, eventInput{Delivery: delivery{Event: eventForm{ID: "1"}}, Mailboxes: []string{"box"}, Fire: true, Guaranteed: true})
	return claimed
}

// RunsEnded mocks the check of runs: the first ones find all open, later ones all ended. It
// returns the largest number of runs in one check.
func (s *TestEnv) RunsEnded(openChecks int) *int {
	most := new(int)
	s.OnActivity(aliveActivity, mock.Anything, mock.Anything).Return(goneRuns{}, nil).Times(openChecks)
	s.OnActivity(aliveActivity, mock.Anything, mock.Anything).Return(func(_ context.Context, runs []string) (goneRuns, error) {
		*most = max(*most, len(runs))
		return goneRuns{Ended: runs}, nil
	})
	s.OnSignalExternalWorkflow(mock.Anything, mock.Anything, "", mock.Anything, mock.Anything).Return(nil)
	return most
}

// WaitAtMailbox subscribes runs at a mailbox, and executes that to its end.
func (s *TestEnv) WaitAtMailbox(runs ...string) {
	for i, run := range runs {
		s.Signal(time.Duration(i)*time.Second, subscribeSignal, subscriptionForm{Run: run, Await: 1})
	}
	s.ExecuteWorkflow(mailboxType, mailboxInput{ChecksRuns: true})
}

// QueueAtLock executes a lock that runs hold, and queue for, to its end.
func (s *TestEnv) QueueAtLock(limit int, runs ...string) {
	s.ExecuteWorkflow(lockType, lockInput{Limit: limit, Holders: runs[:limit], Queue: runs[limit:]})
}

// A ScheduledRun is a call of Meet.
type ScheduledRun struct {
	Flow, At string
	Missed   int
}

// Schedule executes a schedule to its end; Loaded changes it. away says at which times no daemon
// runs, and for how long.
func (s *TestEnv) Schedule(schedule host.Schedule, away map[string]time.Duration) (runs []ScheduledRun) {
	var gone time.Duration
	s.OnActivity(meetActivity, mock.Anything, mock.Anything).AfterFn(func() time.Duration {
		gone = away[s.Now().UTC().Format(time.RFC3339)]
		return gone
	}).Return(func(_ context.Context, due dueForm) error {
		if gone > host.Grace {
			return temporal.NewTimeoutError(enumspb.TIMEOUT_TYPE_SCHEDULE_TO_START, nil)
		}
		h := ScheduledRun{Flow: due.Digest, Missed: due.Missed}
		if !due.At.IsZero() {
			h.At = due.At.UTC().Format(time.RFC3339)
		}
		runs = append(runs, h)
		return nil
	})
	form := formOfSchedule(schedule, s.Now())
	s.ExecuteWorkflow(scheduleType, scheduleInput{scheduleForm: form})
	return runs
}

// Loaded signals, after a while, the schedule of the flows that were loaded at a time; nil if
// they do not have it.
func (s *TestEnv) Loaded(after time.Duration, schedule *host.Schedule, at time.Time) {
	form := scheduleForm{Loaded: at, Gone: true}
	if schedule != nil {
		form = formOfSchedule(*schedule, at)
	}
	s.Signal(after, scheduleSignal, form)
}

// MakeCall executes the activity of a call. reset says that the workflow was reset since it was
// scheduled.
func MakeCall(o Options, c call.Call, reset bool) (call.Outcome, error) {
	var suite testsuite.WorkflowTestSuite
	suite.SetLogger(sdkLogger{o.withDefaults().Log})
	env := suite.NewTestActivityEnvironment()
	h := newHost(o)
	env.RegisterActivityWithOptions(h.call, activity.RegisterOptions{Name: callActivity})
	in := callInput{Call: stored.OfCall(c)}
	if reset {
		in.Execution = "another"
	}
	value, err := env.ExecuteActivity(callActivity, in)
	if err != nil {
		return call.Outcome{}, err
	}
	var a callResult
	err = value.Get(&a)
	return a.Outcome.Outcome(), err
}
