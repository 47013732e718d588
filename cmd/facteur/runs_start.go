package main

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"facteur/flow/diag"
	"facteur/flow/machine"
	"facteur/project"
	"facteur/server"

	"github.com/spf13/cobra"
)

// startFlags are those of a run that a daemon is to start.
type startFlags struct {
	server.StartOption
	json bool
}

func (f *startFlags) add(c *cobra.Command) {
	c.Flags().StringVar(&f.Key, "idempotency-key", "", "another start with the same `key` returns the first run")
	c.Flags().Var((*durationFlag)(&f.Wait), "wait", "wait up to this long for the run to end, such as 30s; the exit code is 1 if it failed")
	c.Flags().BoolVar(&f.json, "json", false, "print the run as JSON")
}

func (a *app) runsStart(remote *remoteFlags) *cobra.Command {
	var f startFlags
	var in inputFlags
	c := &cobra.Command{
		Use:   "start FLOW",
		Short: "Start a run in the daemon",
		Long: `Start a run of one of the daemon's flows, and print the run's id. The run continues even if
this command is interrupted. If no answer arrives, repeat the command with the same
--idempotency-key.`,
		Example: `  facteur runs start order_shipped --input phone=+33612345678 --input order_id=7 --wait 30s
  facteur runs start order_shipped --input-file inputs.json --idempotency-key "order 7"`,
		Args: exactly("FLOW"),
		RunE: func(c *cobra.Command, args []string) error {
			d, err := a.daemon(*remote, "start a run")
			if err != nil {
				return err
			}
			values, err := a.inputFile(in.inputFile)
			if err != nil {
				return err
			}
			files := map[string]fileInput{}
			if len(in.inputs) > 0 {
				flow, err := d.Flow(c.Context(), args[0])
				if err != nil {
					return err
				}
				if err := a.setInputs(values, files, in.inputs, flow); err != nil {
					return err
				}
			}
			started, err := d.Start(c.Context(), args[0], server.StartRequest{Inputs: values}, f.StartOption)
			addRows(err, files)
			return a.printStarted(started, err, f)
		},
	}
	in.add(c)
	f.add(c)
	return c
}

// setInputs adds inputs given as name=value to the values, and those read from files to files
// too. A text only becomes JSON where its input's type wants that: the daemon checks the rest.
func (a *app) setInputs(values map[string]any, files map[string]fileInput, inputs []string, flow *server.FlowDetail) error {
	types, _ := flow.Inputs["properties"].(map[string]any)
	given := map[string]bool{}
	for _, in := range inputs {
		name, text, ok := strings.Cut(in, "=")
		input, known := types[name].(map[string]any)
		switch {
		case !ok:
			return project.UserError("write --input name=value", "--input %s has no =", in)
		case !known:
			return project.UserError(diag.DidYouMean(name, "inputs", slices.Sorted(maps.Keys(types))), "%s has no input %q", flow.Flow.Flow, name)
		case given[name]:
			return project.UserError("give it once; write a list as JSON", "--input %s is given twice", name)
		}
		given[name], values[name] = true, fromText(input, text)
		if file, ok := fileArgument(input, text); ok {
			v, err := a.inputFrom(file, input)
			if err != nil {
				return err
			}
			files[name], values[name] = v, v.value
		}
	}
	return nil
}

// addRows adds to what the daemon refused the rows of the CSV files that it came from.
func addRows(err error, files map[string]fileInput) {
	p, ok := errors.AsType[*server.Problem](err)
	if !ok {
		return
	}
	for i, wrong := range p.Errors {
		name, rest, _ := strings.Cut(strings.TrimPrefix(wrong.Path, "inputs."), "[")
		number, _, _ := strings.Cut(rest, "]")
		if item, err := strconv.Atoi(number); err == nil {
			if at := files[name].at(item).Position(); at != "" {
				p.Errors[i].Path = at + ": " + wrong.Path
			}
		}
	}
}

// printStarted prints the daemon's answer to a start.
func (a *app) printStarted(started *server.Started, err error, f startFlags) error {
	if err != nil {
		return err
	}
	if f.json {
		if err := a.printJSON(started); err != nil {
			return err
		}
	} else {
		fmt.Fprintln(a.stdout, started.RunID)
		if f.Wait > 0 {
			fmt.Fprintf(a.stderr, "the run's status is %s; see: facteur runs show %s\n", started.Status, started.RunID)
		}
	}
	if f.Wait > 0 && (started.Status == machine.Failed || started.Status == machine.Cancelled) {
		return &exitError{code: exitFailed}
	}
	return nil
}
