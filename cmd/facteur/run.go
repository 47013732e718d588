package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"facteur/flow/diag"
	"facteur/flow/host"
	"facteur/flow/journal"
	"facteur/flow/local"
	"facteur/flow/machine"
	"facteur/flow/plan"

	"github.com/spf13/cobra"
)

type runFlags struct {
	inputs    []string
	inputFile string
	recording string
	events    string
	dryRun    bool
	json      bool
}

func (a *app) runCommand() *cobra.Command {
	var f runFlags
	c := &cobra.Command{
		Use:   "run FLOW",
		Short: "Run a flow once, to its end",
		Long: `Run a flow once, to its end.

Connections come from the vault; with --recording, every request is answered from a
recording, connections get a test token, and time is virtual. --dry-run prints the
requests that would be sent and sends nothing. A flow that waits for events needs the
daemon, or --events with a file that feeds them.

Outputs go to standard output, steps to standard error.`,
		Example: `  facteur run order_shipped.flow.yaml --input phone=+33612345678 --input order_id=7
  facteur run order_shipped.flow.yaml --input-file inputs.json --json
  facteur run order_shipped.flow.yaml --input-file - --recording recordings/accepted.yaml`,
		Args: exactly("FLOW"),
		RunE: func(c *cobra.Command, args []string) error { return a.runFlow(c.Context(), args[0], f) },
	}
	c.Flags().StringArrayVarP(&f.inputs, "input", "i", nil, "an input, `name=value`; repeat for each")
	c.Flags().StringVar(&f.inputFile, "input-file", "", "read inputs from a JSON `file`, - for standard input")
	c.Flags().StringVar(&f.recording, "recording", "", "answer every request from the recording in `file`")
	c.Flags().StringVar(&f.events, "events", "", "feed the events in `file` (YAML, as in flow tests)")
	c.Flags().BoolVar(&f.dryRun, "dry-run", false, "print each request that would be sent, and send nothing")
	c.Flags().BoolVar(&f.json, "json", false, "print the result as JSON")
	return c
}

func (a *app) runFlow(ctx context.Context, path string, f runFlags) error {
	p, compiled, err := a.load(path)
	if err != nil {
		return err
	}
	inputs, err := a.inputs(compiled, f)
	if err != nil {
		return err
	}
	if len(compiled.Events) > 0 && f.events == "" && !f.dryRun {
		return surroundings(
			fmt.Errorf("%s waits for events (%s), which only come to the daemon", compiled.Name, strings.Join(compiled.Events, ", ")),
			`feed them with --events FILE, or test the flow with "facteur test"`)
	}
	w, err := a.newWorld(p, compiled, f)
	if err != nil {
		return err
	}
	defer w.close()
	began := time.Now()
	options := local.Options{Journal: w.journal, Do: w.do, Clock: w.clock, Inline: w.virtual, Feed: w.feed, Seal: w.seal, Open: w.open, Hard: w.hard}
	if !f.json {
		options.OnStep = func(_ string, s *machine.Step) { a.stepLine(s) }
	}
	result, err := local.New(options).Run(ctx, compiled, local.Start{Inputs: inputs})
	if err != nil {
		return a.notRun(err, f, w)
	}
	return a.printResult(result, w, f, time.Since(began))
}

// notRun explains why a run could not be carried to its end.
func (a *app) notRun(err error, f runFlags, w *world) error {
	var stuck *host.StuckError
	if errors.As(err, &stuck) {
		if f.dryRun {
			fmt.Fprintf(a.stderr, "the flow would now wait for %s\n", strings.Join(stuck.Waits, ", "))
			return nil
		}
		return &exitError{code: exitFailed, err: err, hint: "add what it waits for to the events file"}
	}
	var disk *journal.DiskError
	if errors.As(err, &disk) {
		return surroundings(err, "")
	}
	return &exitError{code: exitFailed, err: err}
}

// load parses and compiles a flow with its project.
func (a *app) load(path string) (*project, *plan.Plan, error) {
	if info, err := os.Stat(path); err != nil {
		return nil, nil, wrong("", "%w", err)
	} else if info.IsDir() {
		return nil, nil, wrong("name a file that ends in "+flowSuffix, "%s is a folder", path)
	}
	p, diags, err := openProject(path)
	if err != nil {
		return nil, nil, err
	}
	if err := a.diagnose(diags); err != nil {
		return nil, nil, err
	}
	catalog, err := descriptions()
	if err != nil {
		return nil, nil, err
	}
	f, err := p.parse(path)
	if err != nil {
		return nil, nil, err
	}
	found := slices.Clone(f.diags)
	var compiled *plan.Plan
	if f.flow != nil {
		lib, err := p.projectLibrary(catalog)
		if err != nil {
			return nil, nil, err
		}
		var more diag.List
		compiled, more = plan.Compile(f.flow, lib)
		found.Add(more)
	}
	found.Sort()
	if err := a.diagnose(found); err != nil {
		return nil, nil, err
	}
	return p, compiled, nil
}

// inputs reads the inputs of a run from the flags, and brings them to their types.
func (a *app) inputs(p *plan.Plan, f runFlags) (map[string]any, error) {
	values := map[string]any{}
	if f.inputFile != "" {
		text, err := a.readFile(f.inputFile)
		if err != nil {
			return nil, err
		}
		d := json.NewDecoder(strings.NewReader(string(text)))
		d.UseNumber()
		if err := d.Decode(&values); err != nil {
			return nil, wrong("it must hold one JSON object: {\"name\": value, …}", "%s: %w", f.inputFile, err)
		}
	}
	for _, in := range f.inputs {
		name, text, ok := strings.Cut(in, "=")
		if !ok {
			return nil, wrong("write --input name=value", "--input %s has no =", in)
		}
		field := p.Inputs.Field(name)
		if field == nil {
			return nil, wrong(diag.DidYouMean(name, "inputs", p.Inputs.Names()), "%s has no input %q", p.Name, name)
		}
		v, err := field.Type.FromText(text)
		if err != nil {
			return nil, wrong("", "input %s: %w", name, err)
		}
		values[name] = v
	}
	coerced, found := p.Inputs.Coerce(values)
	var list diag.List
	for _, v := range found {
		message := v.Message
		if len(v.Path) > 0 {
			message = "input " + v.Path.String() + ": " + message
		}
		d := diag.Diagnostic{Code: v.Rule, Message: message, Hint: v.Hint}
		if v.Warning {
			d.Severity = diag.Warning
		}
		list = append(list, d)
	}
	if err := a.diagnose(list); err != nil {
		return nil, err
	}
	inputs, _ := coerced.(map[string]any)
	return inputs, nil
}

// readFile reads a file, or standard input for "-".
func (a *app) readFile(name string) ([]byte, error) {
	const most = 16 << 20
	in := a.stdin
	if name != "-" {
		f, err := os.Open(name)
		if err != nil {
			return nil, wrong("", "%w", err)
		}
		defer f.Close()
		in = f
	}
	text, err := io.ReadAll(io.LimitReader(in, most+1))
	if err != nil {
		return nil, wrong("", "read %s: %w", name, err)
	}
	if len(text) > most {
		return nil, wrong("", "%s is over %d MiB", name, most>>20)
	}
	return text, nil
}

// relative gives a path in a project from the folder of a file there.
func relative(file, path string) string {
	if filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(filepath.Dir(file), path)
}

func sortedNames[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
