package export

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"slices"
	"strings"
	"time"

	"facteur/flow/call"
	"facteur/flow/host"
	"facteur/flow/journal"
	"facteur/flow/local"
	"facteur/flow/machine"
	"facteur/flow/record"
	"facteur/flow/schema"
	"facteur/flow/suite"
)

// A replay is the result of executing the run again.
type replay struct {
	result    *host.Result
	calledAt  map[*recordedCall]time.Time
	exchanges []byte
	feed      []string
	holds     []string
}

// replayUntilStable replays the run. The times of events are relative to calls, and the times of
// calls depend on events: it repeats until both stay the same, five times at most.
func (x *exporter) replayUntilStable(ctx context.Context, hold bool) (*replay, error) {
	found := x.testEvents()
	feed := x.feed(found, nil)
	for n := 0; ; n++ {
		c, err := x.replay(ctx, feed, hold)
		if err != nil {
			return nil, err
		}
		next := x.feed(found, c.calledAt)
		if slices.Equal(feed, next) || c.result == nil || n == 4 {
			return c, nil
		}
		feed = next
	}
}

// differences counts how the result of the replay differs from the run's.
func (x *exporter) differences(c *replay) (n int) {
	if c.result == nil {
		return 1
	}
	was, is := &x.report.Result, c.result
	if was.Status != is.Status || codeOf(was.Error) != codeOf(is.Error) {
		n++
	}
	for name := range was.Outputs {
		if !x.isOutput(c, name) {
			n++
		}
	}
	became := map[string]*machine.Step{}
	for _, s := range is.Steps {
		became[s.Path] = s
	}
	for _, s := range was.Steps {
		if now := became[s.Path]; now == nil || now.Status != s.Status || now.Attempts != s.Attempts {
			n++
		}
	}
	return n
}

func codeOf(e *call.Error) string {
	if e == nil {
		return ""
	}
	return e.Code
}

// isOutput reports whether an output of the replay is the run's.
func (x *exporter) isOutput(c *replay, name string) bool {
	return x.output(name) == keyOrder.Line(escapeKeys(schema.JSON(c.result.Outputs[name])))
}

// output returns an output of the run in the form of a test.
func (x *exporter) output(name string) string {
	return keyOrder.Line(escapeKeys(x.anonymizer.value(schema.JSON(x.report.Result.Outputs[name]))))
}

// runOfTest is the id of every run of a flow test.
const runOfTest = "test"

func (x *exporter) replay(ctx context.Context, feed []string, hold bool) (*replay, error) {
	started := x.report.Run.Started.Truncate(time.Millisecond)
	var events []local.Feed
	if len(feed) > 0 {
		text := "events:\n  - " + strings.Join(feed, "\n  - ") + "\n"
		list, found := suite.Events("events", []byte(text), x.plan, x.Library.Catalog, started)
		if err := found.Err(); err != nil {
			return nil, fmt.Errorf("what came to the run cannot be written as events of a test: %w", err)
		}
		events = list
	}
	clock := host.NewVirtual(started)
	recorder := record.NewRecorder(&replayTransport{sleep: clock.Sleep, anonymizer: x.anonymizer, note: x.note}, nil)
	recorder.Now = clock.Now
	world := suite.Environment{
		Connections: x.Connections(x.plan), Window: x.window(), RoundTripper: recorder, Now: clock.Now,
		Events: func() []host.Event { return nil },
	}
	do, err := x.Do(x.plan, world)
	if err != nil {
		return nil, err
	}
	do = record.WithCallInfo(x.Library.Catalog, do)
	out := &replay{calledAt: map[*recordedCall]time.Time{}, feed: feed}
	h := local.New(local.Options{
		Journal: &journal.Memory{}, Clock: clock, Receipts: true, Feed: events, Hard: ctx,
		Hold: func(step string, attempt int) time.Duration {
			if !hold {
				return 0
			}
			return out.recordHold(step, attempt, x.heldFor(step, attempt, clock.Now().Sub(started)))
		},
		Do: func(ctx context.Context, c call.Call) call.Outcome {
			if made := x.find(c); made != nil {
				made.requests = 0
				out.calledAt[made] = clock.Now()
				ctx = context.WithValue(ctx, madeCallKey{}, made)
			}
			return do(ctx, c)
		},
	})
	seed := sha256.Sum256([]byte(x.plan.Name + "\n" + x.name)) // as the case of this name has it
	inputs := x.anonymizer.object(x.report.Inputs)
	out.result, _ = h.Run(ctx, x.plan, local.Start{Inputs: inputs, ID: runOfTest, Seed: seed[:], Random: x.random()}) // Check shows an error
	var exchanges bytes.Buffer
	if err := recorder.Write(&exchanges); err != nil {
		return nil, err
	}
	out.exchanges = exchanges.Bytes()
	return out, ctx.Err()
}

// minDelay is the shortest delay that is worth writing into a test.
const minDelay = time.Second

// heldFor returns how long the run held a call back that the replay wants at an offset from the
// start. One that the run never made is held until the run's end.
func (x *exporter) heldFor(step string, attempt int, wanted time.Duration) time.Duration {
	if c := x.callOf(step, attempt); c != nil {
		return c.Taken.Sub(c.Wanted)
	}
	return x.report.Run.Ended.Sub(x.report.Run.Started) - wanted + minDelay
}

// recordHold records that a call is held back, if that is long enough, and returns for how long.
func (c *replay) recordHold(step string, attempt int, d time.Duration) time.Duration {
	if d = d.Truncate(time.Millisecond); d < minDelay {
		return 0
	}
	fields := map[string]any{"step": step, "for": durationText(d)}
	if attempt > 1 {
		fields["attempt"] = attempt
	}
	c.holds = append(c.holds, keyOrder.Line(fields))
	return d
}

func (x *exporter) callOf(step string, attempt int) *recordedCall {
	for _, made := range x.calls {
		if made.Step == step && made.Attempt == attempt {
			return made
		}
	}
	return nil
}

// find returns the run's call for a call of the replay, nil if the run did not make it.
func (x *exporter) find(c call.Call) *recordedCall {
	if made := x.callOf(c.Step, c.Attempt); made != nil {
		return made
	}
	x.note("attempt %d of %s was not made by the run", c.Attempt, c.Step)
	return nil
}
