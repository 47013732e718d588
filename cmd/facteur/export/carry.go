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

// How a run is carried out again.

// A carried run is one that was carried out again.
type carried struct {
	result    *host.Result
	made      map[*madeCall]time.Time
	exchanges []byte
	feed      []string
	holds     []string
}

// settle carries the run out. When things come depends on when calls are made, and the other
// way round: it is done again until both stay.
func (x *exporter) settle(ctx context.Context, hold bool) (*carried, error) {
	found := x.happenings()
	feed := x.feed(found, nil)
	for n := 0; ; n++ {
		c, err := x.carryOut(ctx, feed, hold)
		if err != nil {
			return nil, err
		}
		next := x.feed(found, c.made)
		if slices.Equal(feed, next) || c.result == nil || n == 4 {
			return c, nil
		}
		feed = next
	}
}

// differs tells in how much the run came to something else than it did.
func (x *exporter) differs(c *carried) (n int) {
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

// isOutput tells whether an output is what it was.
func (x *exporter) isOutput(c *carried, name string) bool {
	return x.output(name) == inOrder.Line(escapeKeys(schema.JSON(c.result.Outputs[name])))
}

// output is an output of the run as a test expects it.
func (x *exporter) output(name string) string {
	return inOrder.Line(escapeKeys(x.hide.value(schema.JSON(x.report.Result.Outputs[name]))))
}

// runOfTest is the id of every run of a flow test.
const runOfTest = "test"

func (x *exporter) carryOut(ctx context.Context, feed []string, hold bool) (*carried, error) {
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
	recorder := record.NewRecorder(&answers{sleep: clock.Sleep, hide: x.hide, note: x.note}, nil)
	recorder.Now = clock.Now
	world := suite.World{
		Connections: x.Connections(x.plan), Window: x.window(), RoundTripper: recorder, Now: clock.Now,
		Events: func() []host.Event { return nil },
	}
	do, err := x.Do(x.plan, world)
	if err != nil {
		return nil, err
	}
	do = record.Described(x.Library.Catalog, do)
	out := &carried{made: map[*madeCall]time.Time{}, feed: feed}
	h := local.New(local.Options{
		Journal: &journal.Memory{}, Clock: clock, Receipts: true, Feed: events, Hard: ctx,
		Hold: func(step string, attempt int) time.Duration {
			if !hold {
				return 0
			}
			return out.hold(step, attempt, x.heldFor(step, attempt, clock.Now().Sub(started)))
		},
		Do: func(ctx context.Context, c call.Call) call.Outcome {
			if made := x.find(c); made != nil {
				made.requests = 0
				out.made[made] = clock.Now()
				ctx = context.WithValue(ctx, madeCallKey{}, made)
			}
			return do(ctx, c)
		},
	})
	seed := sha256.Sum256([]byte(x.plan.Name + "\n" + x.name)) // as the case of this name has it
	inputs := x.hide.object(x.report.Inputs)
	out.result, _ = h.Run(ctx, x.plan, local.Start{Inputs: inputs, ID: runOfTest, Seed: seed[:], Random: x.random()}) // an error shows when the test is checked
	var exchanges bytes.Buffer
	if err := recorder.Write(&exchanges); err != nil {
		return nil, err
	}
	out.exchanges = exchanges.Bytes()
	return out, ctx.Err()
}

// matters is from when on a delay is one that a person might see.
const matters = time.Second

// heldFor tells for how long a call was held back, which is wanted so long after the run's
// start: one that was never made, until the run had ended.
func (x *exporter) heldFor(step string, attempt int, wanted time.Duration) time.Duration {
	if c := x.made(step, attempt); c != nil {
		return c.Taken.Sub(c.Wanted)
	}
	return x.report.Run.Ended.Sub(x.report.Run.Started) - wanted + matters
}

// hold notes that a call is held back, if it is long enough to matter.
func (c *carried) hold(step string, attempt int, d time.Duration) time.Duration {
	if d = d.Truncate(time.Millisecond); d < matters {
		return 0
	}
	fields := map[string]any{"step": step, "for": durationText(d)}
	if attempt > 1 {
		fields["attempt"] = attempt
	}
	c.holds = append(c.holds, inOrder.Line(fields))
	return d
}

func (x *exporter) made(step string, attempt int) *madeCall {
	for _, made := range x.calls {
		if made.Step == step && made.Attempt == attempt {
			return made
		}
	}
	return nil
}

// find returns the call of the run that another stands for.
func (x *exporter) find(c call.Call) *madeCall {
	if made := x.made(c.Step, c.Attempt); made != nil {
		return made
	}
	x.note("attempt %d of %s was not made by the run", c.Attempt, c.Step)
	return nil
}
