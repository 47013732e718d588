package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"facteur/cmd/facteur/bubble"
	"facteur/flow/host"
	"facteur/flow/journal"
	"facteur/flow/local"
	"facteur/flow/plan"
	"facteur/flow/record"
	"facteur/project"
	"facteur/vault"

	"github.com/spf13/cobra"
)

type runFlags struct {
	inputFlags
	recording string
	events    string
	dryRun    bool
	simulate  bool
	json      bool
}

func (a *app) runCommand() *cobra.Command {
	var f runFlags
	c := &cobra.Command{
		Use:   "run FLOW",
		Short: "Run a flow once, to its end",
		Long: `Run a flow once, to its end.

Connections come from the vault. With these flags nothing is sent to Meta:

  --simulate   Messages go to a simulator of the Cloud API in this process, which shows them
               as a phone does and sends receipts and replies: +33 5 36 49 0014 presses the
               first button, +33 1 99 00 1026 is refused with 131026; the page of "facteur
               simulate" lists more such numbers. Time is virtual; calls of http.request are
               real.
  --recording  Every request is answered from a recording, connections get a test token,
               and time is virtual.
  --dry-run    The requests are printed, and nothing is sent.

A flow that waits for events or receipts needs --simulate, or --events with a file of events.

Outputs are printed to standard output, steps to standard error. The first interrupt cancels
the run: calls in progress finish, and "finally" runs. A second interrupt cuts them off.`,
		Example: `  facteur run order_shipped.flow.yaml --input phone=+33612345678 --input order_id=7
  facteur run order_shipped.flow.yaml --input phone=+33612345678 --input order_id=7 --simulate
  facteur run order_shipped.flow.yaml --input-file inputs.json --json
  facteur run announce.flow.yaml --input campaign=spring --input recipients=@people.csv --simulate
  facteur run order_shipped.flow.yaml --input-file - --recording recordings/accepted.yaml`,
		Args: exactly("FLOW"),
		RunE: func(c *cobra.Command, args []string) error { return a.runFlow(c.Context(), args[0], f) },
	}
	f.inputFlags.add(c)
	c.Flags().StringVar(&f.recording, "recording", "", "answer every request from the recording in `file`")
	c.Flags().StringVar(&f.events, "events", "", "deliver the events in `file` (YAML, as in flow tests)")
	c.Flags().BoolVar(&f.dryRun, "dry-run", false, "print the requests that would be sent, and send nothing")
	c.Flags().BoolVar(&f.simulate, "simulate", false, "send to a simulator and show the messages as a phone does")
	c.Flags().BoolVar(&f.json, "json", false, "print the result as JSON")
	c.MarkFlagsMutuallyExclusive("recording", "dry-run", "simulate")
	return c
}

func (a *app) runFlow(ctx context.Context, path string, f runFlags) error {
	p, compiled, err := a.load(path)
	if err != nil {
		return err
	}
	inputs, err := a.inputs(compiled, f.inputFlags)
	if err != nil {
		return err
	}
	if waits := waitsFor(compiled); len(waits) > 0 && f.events == "" && !f.dryRun && !f.simulate {
		return project.SystemError(
			fmt.Errorf("%s waits for %s, but nothing delivers them here", compiled.Name, strings.Join(waits, ", ")),
			`try --simulate, give the events with --events FILE, or test the flow with "facteur test"`)
	}
	w, err := a.newEnvironment(ctx, p, compiled, f)
	if err != nil {
		return err
	}
	defer w.close()
	soft, hard, stop := a.interrupts(ctx, a.printInterrupt)
	defer stop()

	options := w.options(hard)
	if !f.json {
		options.OnStep = (&progress{app: a, mask: record.NewMask(nil)}).show
	}
	began := time.Now()
	foreground := local.New(options)
	if w.simulation != nil {
		w.simulation.Host = foreground
	}
	result, err := foreground.Run(soft, compiled, local.Start{Inputs: inputs})
	if err != nil {
		return a.notEnded(result, err, w, f)
	}
	return a.printResult(result, w, f, time.Since(began))
}

func (a *app) printInterrupt(n int) {
	if n == 1 {
		fmt.Fprintln(a.stderr, "interrupted: calls in progress finish; interrupt again to cut them off")
	}
}

// waitsFor lists what a run needs from outside: kinds of event, and receipts.
func waitsFor(p *plan.Plan) []string {
	waits := p.Events
	if awaits(p) {
		waits = append(waits[:len(waits):len(waits)], "receipts (await)")
	}
	return waits
}

func awaits(p *plan.Plan) bool {
	for _, f := range p.Flows() {
		for _, s := range f.AllSteps {
			if do, ok := s.Do.(*plan.Action); ok && do.Await != nil {
				return true
			}
		}
	}
	return false
}

// notEnded is the error about a run that could not be finished. The result says how far it came;
// it is nil if the run did not start.
func (a *app) notEnded(r *host.Result, err error, w *environment, f runFlags) error {
	switch {
	case r == nil:
	case f.json:
		if err := a.printJSON(w.resultJSON(r)); err != nil {
			return err
		}
	case w.dryRun != nil:
		w.dryRun.print(a.stdout, record.NewMask(r.Sensitive))
	case w.simulation != nil:
		drawMessages(a.stdout, bubble.For(a.stdout, colored(a.stdout)), w.simulation.Sent(r))
	}
	stuck, isStuck := errors.AsType[*host.StuckError](err)
	switch {
	case isStuck && f.dryRun:
		fmt.Fprintf(a.stderr, "nothing was sent; the flow would now wait for %s\n", strings.Join(stuck.Waits, ", "))
		return nil
	case isStuck && f.simulate:
		return failed(err, "nobody answered: send to a number that does, such as +33536490010 (see the page of facteur simulate), give wait_for a timeout, or give the events with --events")
	case isStuck:
		return failed(err, "add the event that it waits for to the events file")
	case isError[*journal.DiskError](err), isError[*vault.BackendError](err):
		hint := "nothing was sent"
		if r != nil {
			hint = "the run stopped there; before you start it again, check above what it has already done"
		}
		return project.SystemError(err, hint)
	}
	return failed(err, "")
}

// load parses and compiles a flow with its project.
func (a *app) load(path string) (*project.Project, *plan.Plan, error) {
	if err := wantFile(path, project.FlowSuffix); err != nil {
		return nil, nil, err
	}
	p, err := a.open(path)
	if err != nil {
		return nil, nil, err
	}
	lib, err := p.Library()
	if err != nil {
		return nil, nil, err
	}
	compiled, found, err := p.Compile(path, plan.NewCompiler(lib))
	if err != nil {
		return nil, nil, err
	}
	return p, compiled, a.diagnose(found)
}
