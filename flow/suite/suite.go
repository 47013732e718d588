// Package suite is the engine of `facteur test`: it loads files of test cases, runs each case
// on the local host with a virtual clock and recorded answers, and reports the results.
//
// Use Load to parse and check a *.test.yaml file against a library, Run to run its cases, and
// Reports to write the results as text, JSON or JUnit, with the coverage of steps and
// branches. Nothing here accesses the network, except through Options.Record.
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

// A File is a loaded test file.
type File struct {
	Name  string // as given to Load; recordings are found beside it
	Flow  string
	Plan  *plan.Plan // of the flow, with the library's settings
	Cases []*Case

	catalog    call.Catalog
	insertions []insertion // into the text, in the order of the cases
}

// A Case is one run of the flow and what is expected of it.
type Case struct {
	Name  string
	Range diag.Range // of its name

	env          Environment // without RoundTripper and Now
	plan         *plan.Plan
	inputs       map[string]any
	startErrors  diag.List   // why the run cannot start; nil if it can
	startEvent   *host.Event // the event that starts the run; nil if inputs do
	now          time.Time
	random       []int64
	firstKey     diag.Range
	hasExchanges bool      // may be an empty list
	inputFile    diag.Text // a file with the inputs; Value "": none
	exchanges    []*record.Exchange
	recording    diag.Text // Value "" without one
	feed         []local.Feed
	holds        []hold
	crashes      []crash
	expect       expectation
}

// A hold is how long a call is held back.
type hold struct {
	step    string
	attempt int
	d       time.Duration
	at      diag.Range
}

// A crash is a point of a call at which the host crashes and restarts.
type crash struct {
	step    string
	attempt int
	point   local.Point
	at      diag.Range
}

// An Environment is what the actions of one case run in.
type Environment struct {
	// Connections are those of the case, by name; they override the project's.
	Connections map[string]map[string]any
	// Window says for contacts whether their 24-hour window is "open" or "shut".
	Window       map[string]string
	RoundTripper http.RoundTripper
	Now          func() time.Time // virtual
	// Events returns the events that have arrived by now, first the one that started the run.
	// It may be called concurrently.
	Events func() []host.Event

	// Simulation is only set for Options.Simulate. RoundTripper is then nil, or answers
	// actions that are not simulated from the exchanges of the case.
	Simulation *Simulation
}

// A Simulation connects the simulator of an API to a run.
type Simulation struct {
	Clock *host.Virtual
	// Wrap wraps the transport to the simulator; all requests have to go through the result.
	Wrap func(standIn http.RoundTripper) http.RoundTripper

	x *execution
	h *local.Foreground
}

// Options configure Run. Do is required.
type Options struct {
	// Do returns what performs the calls of one case. All its requests go through the
	// environment's RoundTripper.
	Do func(Environment) (call.Do, error)
	// Select reports whether a case is run. nil: all are.
	Select func(name string) bool
	// ReadFile reads a recording. nil: os.ReadFile.
	ReadFile func(name string) ([]byte, error)
	// Simulate, if set, replaces Do for cases without exchanges for actions that Simulates;
	// close is called when the run has ended. Without it, Simulates only serves to suggest it
	// in failures.
	Simulate  func(Environment) (do call.Do, close func(), err error)
	Simulates func(action string) bool
	// WriteExchanges writes the exchanges of simulated cases: to the recording that the case
	// names, if it does not exist yet, else into the test file.
	WriteExchanges bool
	// Record, if set, answers the requests, and the exchanges are written to the recording
	// that each case then has to name (recording: FILE).
	Record http.RoundTripper
	// Scrub removes the secrets known to the caller from a text; for recordings.
	Scrub func([]byte) []byte
}

// Run runs the cases of a file one after the other. If ctx ends, the running case fails and no
// other is started. Several files may be run concurrently.
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
