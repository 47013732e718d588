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

// Codec gives tests what goes to the server.
func Codec(o Options) interface {
	Encode([]*commonpb.Payload) ([]*commonpb.Payload, error)
	Decode([]*commonpb.Payload) ([]*commonpb.Payload, error)
} {
	return &codec{o.Seal, o.Open}
}

// LinesOf parts events as Deliver does.
func LinesOf(events []host.Event) [][]host.Event { return linesOf(events) }

// A Stage is one workflow on the SDK's stand-in for a server, where time passes by itself.
type Stage struct {
	*testsuite.TestWorkflowEnvironment
	host *Host
}

// NewStage returns a stage for a workflow of a host.
func NewStage(o Options, id string) *Stage {
	var suite testsuite.WorkflowTestSuite
	suite.SetLogger(quietly{o.withDefaults().Log})
	s := &Stage{suite.NewTestWorkflowEnvironment(), &Host{opts: o.withDefaults()}}
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

// A Fate is what becomes of one call on a stage.
type Fate struct {
	After   time.Duration
	Outcome call.Outcome
	Error   error // of the activity: nobody answered
}

// Calls lets the calls of a run have these fates, one after the other, and returns where
// they are noted.
func (s *Stage) Calls(fates ...Fate) *[]call.Call {
	var made []call.Call
	for _, f := range fates {
		for _, name := range []string{callActivity, beginActivity} {
			s.OnActivity(name, mock.Anything, mock.Anything).After(f.After).Return(func(_ context.Context, one job) (answer, error) {
				made = append(made, one.Call.Call())
				hold := ""
				if f.Outcome.Held {
					hold = "connection/shop"
				}
				return answer{Outcome: stored.OfOutcome(f.Outcome), Hold: hold}, f.Error
			}).Once()
		}
	}
	return &made
}

// Deaf lets receipts be not there yet the first time that they are asked for, and the second time
// nobody can tell.
func (s *Stage) Deaf() {
	s.OnActivity(pastActivity, mock.Anything, mock.Anything, mock.Anything).Return(nil, nil).Once()
	s.OnActivity(pastActivity, mock.Anything, mock.Anything, mock.Anything).Return(nil, errors.New("the ledger does not answer")).Times(3)
}

// Past lets receipts have come before.
func (s *Stage) Past(list ...call.Receipt) {
	var form []stored.Receipt
	for _, r := range list {
		form = append(form, stored.OfReceipt(r))
	}
	s.OnActivity(pastActivity, mock.Anything, mock.Anything, mock.Anything).Return(form, nil)
}

// Tell brings the run something after a while.
func (s *Stage) Tell(after time.Duration, signal string, arg any) {
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

// Run carries a run to its end, by a machine of a version, and returns what became of
// it; nil when it has no end, or another than a run has.
func (s *Stage) Run(p *plan.Plan, version int, inputs map[string]any) *machine.Machine {
	start, err := stored.EncodeStart(nil, machine.Start{Run: "run", At: s.Now(), Inputs: inputs, Seed: make([]byte, 32), Receipts: true})
	if err != nil {
		panic(err)
	}
	in := input{Machine: version, Flow: p.Name, Digest: p.Digest, Sources: p.Texts, Start: start, Past: true, Begins: true, Looks: true}
	s.ExecuteWorkflow(runType, in)
	var told report
	value, err := s.QueryWorkflow(reportQuery, asked{})
	if err != nil || value.Get(&told) != nil {
		return nil
	}
	first, err := stored.DecodeStart("run", start)
	if err != nil {
		panic(err)
	}
	in.Events = told.Record.Events
	m, err := rebuild(p, first, in, nil, nil)
	if err != nil {
		panic(err)
	}
	return m
}

// Mailbox lets letters come, then a run, and returns what the run was brought.
func (s *Stage) Mailbox(letters []host.Event) (brought []string) {
	for i, e := range letters {
		form, err := formOf(e)
		if err != nil {
			panic(err)
		}
		s.Tell(time.Duration(i)*time.Second, letterSignal, letter{Event: form, From: "event"})
	}
	s.Tell(time.Duration(len(letters))*time.Second, subscribeSignal, subscriptionForm{Run: "reader", Await: 1})
	s.OnSignalExternalWorkflow(mock.Anything, "event", "", passedSignal, mock.Anything).Return(nil)
	s.OnSignalExternalWorkflow(mock.Anything, "reader", "", arrivedSignal, mock.Anything).Return(func(_, _, _, _ string, arg any) error {
		text, err := json.Marshal(arg)
		var a arrived
		if err == nil {
			err = json.Unmarshal(text, &a)
		}
		for _, l := range a.Letters {
			brought = append(brought, l.Event.ID)
		}
		return err
	})
	s.ExecuteWorkflow(mailboxType, mailboxInput{})
	return brought
}

// Event lets an event come, whose mailbox cannot be reached at first, and which a run consumes
// then. It returns what was said to who is told of it.
func (s *Stage) Event(deaf time.Duration) (claimed []bool) {
	began := s.Now()
	s.OnActivity(offerActivity, mock.Anything, mock.Anything).Return(func(context.Context, eventInput) error {
		if s.Now().Sub(began) < deaf {
			return errors.New("the server is overloaded")
		}
		s.Tell(time.Second, passedSignal, passed{Mailbox: "box", Runs: []string{"run"}})
		s.Tell(2*time.Second, heardSignal, said{Run: "run", Claimed: true})
		return nil
	})
	s.OnActivity(fireActivity, mock.Anything, mock.Anything, mock.Anything).Return(func(_ context.Context, _ eventForm, by bool) error {
		claimed = append(claimed, by)
		return nil
	})
	s.ExecuteWorkflow(eventType, eventInput{Letter: letter{Event: eventForm{ID: "1"}}, Mailboxes: []string{"box"}, Fire: true, Sure: true})
	return claimed
}

// Ended lets runs have ended, once somebody has looked in vain so often, and returns how many
// were looked for at once.
func (s *Stage) Ended(vain int) *int {
	most := new(int)
	s.OnActivity(aliveActivity, mock.Anything, mock.Anything).Return(absent{}, nil).Times(vain)
	s.OnActivity(aliveActivity, mock.Anything, mock.Anything).Return(func(_ context.Context, runs []string) (absent, error) {
		*most = max(*most, len(runs))
		return absent{Ended: runs}, nil
	})
	s.OnSignalExternalWorkflow(mock.Anything, mock.Anything, "", mock.Anything, mock.Anything).Return(nil)
	return most
}

// Wait lets runs wait at a mailbox until it ends.
func (s *Stage) Wait(runs ...string) {
	for i, run := range runs {
		s.Tell(time.Duration(i)*time.Second, subscribeSignal, subscriptionForm{Run: run, Await: 1})
	}
	s.ExecuteWorkflow(mailboxType, mailboxInput{Looks: true})
}

// Line lets runs stand in line at a lock until it ends.
func (s *Stage) Line(limit int, runs ...string) {
	s.ExecuteWorkflow(lockType, lockInput{Limit: limit, Holders: runs[:limit], Line: runs[limit:]})
}

// A Heard is what a schedule had a daemon do.
type Heard struct {
	Flow, At string
	Missed   int
}

// Schedule lets a schedule go on until all of it is over: one that the flows had which
// were loaded at its beginning, changed by what is told later. away says for which times
// no daemon is there, and for how long.
func (s *Stage) Schedule(one host.Schedule, away map[string]time.Duration) (heard []Heard) {
	var gone time.Duration
	s.OnActivity(meetActivity, mock.Anything, mock.Anything).AfterFn(func() time.Duration {
		gone = away[s.Now().UTC().Format(time.RFC3339)]
		return gone
	}).Return(func(_ context.Context, due dueForm) error {
		if gone > host.Grace {
			return temporal.NewTimeoutError(enumspb.TIMEOUT_TYPE_SCHEDULE_TO_START, nil)
		}
		h := Heard{Flow: due.Digest, Missed: due.Missed}
		if !due.At.IsZero() {
			h.At = due.At.UTC().Format(time.RFC3339)
		}
		heard = append(heard, h)
		return nil
	})
	form := formOfSchedule(one, s.Now())
	s.ExecuteWorkflow(scheduleType, scheduleInput{scheduleForm: form})
	return heard
}

// Loaded tells a schedule, after a while, what the flows have that were loaded at a time;
// nil when they do not have it.
func (s *Stage) Loaded(after time.Duration, one *host.Schedule, at time.Time) {
	form := scheduleForm{Loaded: at, Gone: true}
	if one != nil {
		form = formOfSchedule(*one, at)
	}
	s.Tell(after, scheduleSignal, form)
}

// Make makes a call as a worker does that is given it. reset says that the workflow was
// reset since.
func Make(o Options, c call.Call, reset bool) (call.Outcome, error) {
	var suite testsuite.WorkflowTestSuite
	suite.SetLogger(quietly{o.withDefaults().Log})
	env := suite.NewTestActivityEnvironment()
	h := &Host{opts: o.withDefaults()}
	env.RegisterActivityWithOptions(h.call, activity.RegisterOptions{Name: callActivity})
	one := job{Call: stored.OfCall(c)}
	if reset {
		one.Execution = "another"
	}
	value, err := env.ExecuteActivity(callActivity, one)
	if err != nil {
		return call.Outcome{}, err
	}
	var a answer
	err = value.Get(&a)
	return a.Outcome.Outcome(), err
}
