package suite

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"facteur/flow"
	"facteur/flow/call"
	"facteur/flow/diag"
	"facteur/flow/host"
	"facteur/flow/journal"
	"facteur/flow/local"
	"facteur/flow/machine"
	"facteur/flow/plan"
	"facteur/flow/record"
)

// An execution is one case while it runs.
type execution struct {
	c          *Case
	f          *File
	o          Options
	clock      *host.Virtual
	player     *record.Player   // nil while recording, and in a simulation without exchanges
	recorder   *record.Recorder // nil unless recording
	simulation *Simulation      // nil unless simulated
	holds      []hold           // not yet applied
	crashes    []crash          // not yet applied
	report     *CaseReport

	calls      sync.Map // callStart by key, only in a simulation
	mu         sync.Mutex
	deliveries []delivery // by the simulator
}

// run runs one case, and adds the coverage points that it took to taken.
func (c *Case) run(ctx context.Context, f *File, o Options, taken map[plan.CoveragePoint]bool) *CaseReport {
	began := time.Now()
	x := &execution{
		c: c, f: f, o: o, clock: host.NewVirtual(c.now), holds: slices.Clone(c.holds), crashes: slices.Clone(c.crashes),
		report: &CaseReport{Name: c.Name, Range: c.Range},
	}
	if x.prepare() {
		if result := x.run(ctx); result != nil {
			maps.Copy(taken, result.Branches)
		}
	}
	x.report.Passed = len(x.report.Failures) == 0
	x.report.Took = time.Since(began)
	return x.report
}

func (x *execution) fail(at diag.Range, format string, args ...any) {
	x.report.Failures = append(x.report.Failures, Failure{Range: at, Message: fmt.Sprintf(format, args...)})
}

// resolvePath returns the path of a file that the case names, relative to the test file.
func (x *execution) resolvePath(file diag.Text) string {
	name := filepath.FromSlash(file.Value)
	if filepath.IsAbs(name) {
		return name
	}
	return filepath.Join(filepath.Dir(x.f.Name), name)
}

// read reads a file that the case names.
func (x *execution) read(what string, file diag.Text) (name string, text []byte, ok bool) {
	read := x.o.ReadFile
	if read == nil {
		read = os.ReadFile
	}
	name = x.resolvePath(file)
	text, err := read(name)
	if err != nil {
		x.fail(file.Whole, "the %s cannot be read: %s", what, err)
	}
	return name, text, err == nil
}

// inputs reads the file of the case's inputs.
func (x *execution) inputs() bool {
	name, text, ok := x.read("file of inputs", x.c.inputFile)
	if !ok {
		return false
	}
	root, found := flow.ParseValue(name, text)
	x.failAll(found)
	if found.HasErrors() || root == nil {
		return false
	}
	c := *x.c
	c.setInputs(root)
	x.c = &c
	return true
}

// failAll adds the errors of a list as failures.
func (x *execution) failAll(found diag.List) {
	for _, d := range found {
		if d.Severity != diag.Error {
			continue
		}
		f := Failure{Range: d.Range, Message: d.Message}
		if d.Hint != "" {
			f.Details = []string{"hint: " + d.Hint}
		}
		x.report.Failures = append(x.report.Failures, f)
	}
}

// prepare makes what starts the case and what answers its requests.
func (x *execution) prepare() bool {
	if x.c.inputFile.Value != "" && !x.inputs() {
		return false
	}
	if x.o.Record != nil {
		if x.c.recording.Value == "" {
			x.fail(x.c.Range, "the case names no recording to write: write recording: FILE in place of exchanges")
			return false
		}
		x.recorder = record.NewRecorder(x.o.Record, x.o.Scrub)
		return true
	}
	if x.simulated() {
		x.simulation = &Simulation{Clock: x.clock, Wrap: x.recordThrough, x: x}
		if x.c.hasExchanges {
			x.player = record.NewPlayer(x.c.exchanges, record.PlayerOptions{Sleep: x.clock.Sleep})
		}
		return true
	}
	exchanges := x.c.exchanges
	if x.c.recording.Value != "" {
		name, text, ok := x.read("recording", x.c.recording)
		if !ok {
			last := &x.report.Failures[len(x.report.Failures)-1]
			last.Details = append(last.Details, "hint: facteur test --simulate --record writes it with answers of a simulator, --record alone with answers of Meta")
			return false
		}
		var found diag.List
		exchanges, found = record.Parse(name, text)
		found.Add(checkSteps(exchanges, x.c.plan))
		x.failAll(found)
		if found.HasErrors() {
			return false
		}
	}
	x.player = record.NewPlayer(exchanges, record.PlayerOptions{Sleep: x.clock.Sleep})
	return true
}

func (x *execution) transport() http.RoundTripper {
	if x.recorder != nil {
		return x.recorder
	}
	return x.player
}

// runID is the id of every run of a test: each has its own journal.
const runID = "test"

// run executes the run of the case to its end, through its crashes. The result is nil if
// nothing ran.
func (x *execution) run(ctx context.Context) *host.Result {
	if x.c.startErrors != nil {
		return x.refused(ctx)
	}
	env := x.c.env
	arrivals := &arrivals{c: x.c, clock: x.clock}
	env.Now, env.Events, env.Simulation = x.clock.Now, arrivals.events, x.simulation
	do, end, err := x.do(env)
	if err != nil {
		x.fail(x.c.Range, "%s", err)
		return nil
	}
	defer end()
	h := local.New(local.Options{
		Journal: &journal.Memory{}, Do: arrivals.recordCalls(record.WithCallInfo(x.f.catalog, do)), Clock: x.clock, Receipts: true,
		Feed: x.c.feed, Crash: x.crash, Hold: x.hold, Hard: ctx,
	})
	if x.simulation != nil {
		x.simulation.h = h
	}
	seed := sha256.Sum256([]byte(x.f.Flow + "\n" + x.c.Name))
	result, err := h.Run(ctx, x.c.plan, local.Start{Inputs: x.c.inputs, ID: runID, Seed: seed[:], Random: x.c.random})
	for errors.Is(err, local.ErrCrashed) && !x.mismatched() {
		result, err = h.Resume(ctx, x.c.plan, runID)
	}
	x.evaluate(ctx, result, err)
	if result != nil {
		x.fillReport(result)
	}
	return result
}

// refused evaluates a run that cannot start: its inputs do not fit the flow, or its trigger
// does not fire.
func (x *execution) refused(ctx context.Context) *host.Result {
	code := x.c.expect.code.Value
	if code != invalidInput && (code != notTriggered || x.c.startErrors[0].Code != "not-triggered") {
		x.failAll(x.c.startErrors)
		return nil
	}
	var reasons []string
	for _, d := range x.c.startErrors {
		reasons = append(reasons, d.Message)
	}
	result := &host.Result{Run: runID, Flow: x.f.Flow, Started: x.c.now, Ended: x.c.now}
	result.Status = machine.Failed
	result.Error = &call.Error{Code: invalidInput, Class: "flow", Message: strings.Join(reasons, "; ")}
	result.Error.Code = code
	x.evaluate(ctx, result, nil)
	x.fillReport(result)
	return result
}

// invalidInput is the error code of a run with invalid inputs.
const invalidInput = "invalid_input"

// notTriggered is the error code of a case whose trigger does not start a run.
const notTriggered = "not_triggered"

func (x *execution) mismatched() bool { return x.player != nil && len(x.player.Mismatches()) > 0 }

// crash reports whether the host crashes at a point: as the case says, once, and after a
// request without a matching exchange, which ends the case.
func (x *execution) crash(p local.Point, step string, attempt int) bool {
	if x.mismatched() {
		return true
	}
	for i, k := range x.crashes {
		if k.point == p && (k.step == step || k.step == idOf(step)) && k.attempt == attempt {
			x.crashes = slices.Delete(x.crashes, i, i+1)
			return true
		}
	}
	return false
}

// hold returns how long a call is held back: as the case says, once.
func (x *execution) hold(step string, attempt int) time.Duration {
	for i, k := range x.holds {
		if (k.step == step || k.step == idOf(step)) && k.attempt == attempt {
			x.holds = slices.Delete(x.holds, i, i+1)
			return k.d
		}
	}
	return 0
}

// evaluate adds failures to the report, and writes the recording.
func (x *execution) evaluate(ctx context.Context, result *host.Result, err error) {
	var stuck *host.StuckError
	switch {
	case x.mismatched():
		for _, m := range x.player.Mismatches() {
			f := mismatchFailure(m, x.c)
			if x.needsSimulator(m) {
				f.Details = append(f.Details, simulateHint(x.c))
			}
			x.report.Failures = append(x.report.Failures, f)
		}
		return
	case ctx.Err() != nil:
		x.fail(x.c.Range, "interrupted")
		return
	case errors.As(err, &stuck):
		f := Failure{Range: x.c.Range, Message: err.Error()}
		if len(stuck.Waits) > 0 {
			f.Details = append(f.Details, "add it: events: [{after: STEP, in: 5s, event: …}], or give wait_for a timeout")
		}
		x.report.Failures = append(x.report.Failures, f)
		return
	case err != nil:
		x.fail(x.c.Range, "%s", err)
		return
	}
	x.report.Failures = append(x.report.Failures, x.c.check(result)...)
	for _, k := range x.crashes {
		x.fail(k.at, "the run never reached this crash: attempt %d of the step %s, %s", k.attempt, k.step, k.point)
	}
	for _, k := range x.holds {
		x.fail(k.at, "the run never made the call that is held back: attempt %d of the step %s", k.attempt, k.step)
	}
	// What a simulator answered is only written if the case passed, because it would be replayed
	// from then on. Exchanges with a real API are always written.
	keep := x.recorder != nil && (x.simulation == nil || len(x.report.Failures) == 0)
	switch {
	case keep && x.c.recording.Value != "":
		if err := x.recorder.WriteFile(x.resolvePath(x.c.recording)); err != nil {
			x.fail(x.c.recording.Whole, "%s", err)
			return
		}
		x.report.Recorded = true
		return
	case keep:
		x.report.Recorded = x.insertExchanges()
	}
	if x.player == nil {
		return
	}
	for _, unused := range x.player.Unused() {
		what := unused.Request.Method + " " + unused.Request.Host + unused.Request.Path
		if unused.Step != "" {
			what += " of step " + unused.Step
		}
		if unused.Times > 1 {
			x.fail(unused.Range, "an exchange was used %d of %d times: %s", unused.Uses, unused.Times, what)
			continue
		}
		x.fail(unused.Range, "an exchange was not used: %s", what)
	}
}

// fillReport reports the run without sensitive values.
func (x *execution) fillReport(result *host.Result) {
	r, mask := x.report, record.NewMask(result.Sensitive)
	r.Status = string(result.Status)
	r.Elapsed = result.Ended.Sub(result.Started)
	for _, s := range result.Steps {
		step := StepReport{Path: s.Path, Kind: s.Kind, Status: string(s.Status), Attempts: s.Attempts}
		if s.Error != nil {
			step.Error = mask.Text(s.Error.Code + ": " + s.Error.Message)
		}
		r.Steps = append(r.Steps, step)
	}
	for i := range r.Failures {
		r.Failures[i].mask(mask)
	}
}

func simulateHint(c *Case) string {
	return fmt.Sprintf("hint: run facteur test %s --simulate to let a simulator answer; add --record to write the exchanges here", c.Range.File())
}

// mismatchFailure reports a request without a matching exchange, at the nearest exchange.
func mismatchFailure(m record.Mismatch, c *Case) Failure {
	f := Failure{Range: c.Range, Message: fmt.Sprintf("no recorded exchange matches %s %s", m.Method, m.Path)}
	if m.Info.Step != "" {
		f.Message += " of step " + m.Info.Step
	}
	if m.Info.Attempt > 1 {
		f.Message += fmt.Sprintf(", attempt %d", m.Info.Attempt)
	}
	switch {
	case m.Nearest == nil && !c.hasExchanges && c.recording.Value == "":
		f.Details = []string{
			"the case has no exchanges, so nothing is answered",
			simulateHint(c),
		}
	case m.Nearest == nil:
		f.Details = []string{"nothing is recorded"}
	default:
		f.Range = m.Nearest.Range
		if m.Note != "" {
			f.Details = []string{"the nearest exchange is " + m.Note}
		}
	}
	further := len(m.Differences) > 0
	for _, d := range m.Differences {
		f.Diff = append(f.Diff, Difference{Path: d.Path, Want: d.Recorded, Got: d.Sent})
		if d.Recorded == `"$any"` {
			f.Details = append(f.Details, "hint: write {$any: true} for a value that may be anything")
		}
		further = further && d.Recorded == "" && strings.HasPrefix(d.Path, "json.")
	}
	if further {
		f.Details = append(f.Details, "hint: add these fields, or write $more: true beside the others to allow more fields")
	}
	return f
}
