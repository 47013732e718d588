// Package suite is the engine of `facteur test`: it reads files of test cases, runs
// each case on the local host with a virtual clock and recorded answers, and reports.
//
// Use Load to read and check a *.test.yaml file against a library, Run to run its
// cases, and Reports to write what came of them as text, JSON or JUnit, with the
// coverage of steps and branches. Nothing here touches the network, except through
// Options.Record.
package suite

import (
	"context"
	"net/http"
	"time"

	"facteur/flow/call"
	"facteur/flow/diag"
	"facteur/flow/host"
	"facteur/flow/local"
	"facteur/flow/plan"
	"facteur/flow/record"
)

// A File is a test file that fits its flow.
type File struct {
	Name  string // as given to Load; recordings are found beside it
	Flow  string
	Plan  *plan.Plan // of the flow, with the library's settings
	Cases []*Case

	catalog call.Catalog
	added   []addition // to the text, in the order of the cases
}

// A Case is one run of the flow and what is expected of it.
type Case struct {
	Name  string
	Range diag.Range // of its name

	world     World // without its RoundTripper and clock
	plan      *plan.Plan
	inputs    map[string]any
	refused   diag.List   // why the flow does not take the inputs; nil when it does
	started   *host.Event // the event that starts the run; nil for inputs
	now       time.Time
	random    []int64
	first     diag.Range // the first key of the case
	given     bool       // it has exchanges, maybe none
	inputFile diag.Text  // the inputs are in; Value "" without one
	exchanges []*record.Exchange
	recording diag.Text // Value "" without one
	feed      []local.Feed
	holds     []hold
	crashes   []crash
	expect    expectation
}

// A hold is for how long a call is held back.
type hold struct {
	step    string
	attempt int
	d       time.Duration
	at      diag.Range
}

// A crash is a point of a call at which the host dies and starts anew.
type crash struct {
	step    string
	attempt int
	point   local.Point
	at      diag.Range
}

// A World is what the actions of one case meet.
type World struct {
	// Connections are those that the case gives, by name, over the project's.
	Connections map[string]map[string]any
	// Window tells of contacts whether their 24-hour window is "open" or "shut".
	Window       map[string]string
	RoundTripper http.RoundTripper
	Now          func() time.Time // virtual
	// Events returns the events that have come by now, that which started the run
	// first. It may be called concurrently.
	Events func() []host.Event

	// Simulated is set for Options.Simulate alone. RoundTripper then is nil, or answers what
	// is not simulated from the exchanges of the case.
	Simulated *Simulated
}

// Simulated is what whoever stands in for an API lives by, and whom it tells.
type Simulated struct {
	Clock *host.Virtual
	// Through returns what requests to the stand-in must go through.
	Through func(standIn http.RoundTripper) http.RoundTripper

	x *execution
	h *local.Foreground
}

// Options are what Run does not know by itself. Do is required.
type Options struct {
	// Do returns what makes the calls of one case, all of whose requests go through
	// the world's RoundTripper.
	Do func(World) (call.Do, error)
	// Select tells whether a case is run. nil: all are.
	Select func(name string) bool
	// ReadFile reads a recording. nil: os.ReadFile.
	ReadFile func(name string) ([]byte, error)
	// Simulate, when set, returns what makes the calls of one case that has no exchanges for
	// actions that Simulates, in place of Do; close is called when its run has ended. Without
	// it, Simulates tells for whose requests a failure names it as a way.
	Simulate  func(World) (do call.Do, close func(), err error)
	Simulates func(action string) bool
	// Keep has what was exchanged in such cases written: to the recording that the case
	// names and that is not there yet, else below the case itself.
	Keep bool
	// Record, when set, answers the requests in place of the recorded exchanges, which
	// are written anew. The cases then must name the file: recording: FILE.
	Record http.RoundTripper
	// Scrub returns a text without the secrets that the caller knows; for Record.
	Scrub func([]byte) []byte
}

// Run runs the cases of a file, one after the other. When ctx ends the case that is
// under way fails and no other is started. Several files may be run at the same time.
func Run(ctx context.Context, f *File, o Options) *Report {
	r := &Report{File: f.Name, Flow: f.Flow, plan: f.Plan, taken: map[plan.CoveragePoint]bool{}}
	for _, c := range f.Cases {
		if ctx.Err() != nil {
			break
		}
		if o.Select == nil || o.Select(c.Name) {
			r.Cases = append(r.Cases, c.run(ctx, f, o, r.taken))
		}
	}
	if err := f.write(); err != nil {
		last := r.Cases[len(r.Cases)-1]
		last.Failures = append(last.Failures, Failure{Range: last.Range, Message: "the exchanges could not be written: " + err.Error()})
		last.Passed = false
	}
	return r
}
