package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"time"

	"facteur/flow/diag"

	"github.com/spf13/cobra"
)

func (a *app) runsShow(remote *remoteFlags) *cobra.Command {
	var asJSON bool
	var wait time.Duration
	c := &cobra.Command{
		Use:   "show RUN",
		Short: "Show a run: its steps, attempts, errors and what they mean",
		Long: `Show a run: its steps, attempts, errors and what they mean.

` + namingRuns + `
"last" is the run that started last.`,
		Example: "  facteur runs show last\n  facteur runs show last --wait 30s",
		Args:    exactly("RUN"),
		RunE: func(c *cobra.Command, args []string) error {
			return a.withRunReader(c.Context(), *remote, func(r runReader) error {
				return a.showRun(c.Context(), r, args[0], wait, asJSON)
			})
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print everything about the run as JSON")
	c.Flags().Var((*durationFlag)(&wait), "wait", "wait up to this long for the run to end, such as 30s")
	return c
}

func (a *app) runsEvents(remote *remoteFlags) *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:   "events RUN",
		Short: "Print the journal of a run: what happened to it, in order",
		Args:  exactly("RUN"),
		RunE: func(c *cobra.Command, args []string) error {
			return a.withRunReader(c.Context(), *remote, func(r runReader) error {
				run, err := findRun(c.Context(), r, args[0])
				if err != nil {
					return err
				}
				d, err := r.Run(c.Context(), run, 0)
				if err != nil {
					return err
				}
				if asJSON {
					return a.printJSON(d.Journal)
				}
				for _, e := range d.Journal {
					fmt.Fprintf(a.stdout, "%s  %-8s  %s\n", e.At.UTC().Format(timeWithMillis), e.Kind, compact(e.Data))
				}
				return nil
			})
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print the journal as JSON")
	return c
}

const timeWithMillis = "2006-01-02 15:04:05.000"

func compact(text json.RawMessage) string {
	var b bytes.Buffer
	if json.Compact(&b, text) != nil {
		return string(text)
	}
	return b.String()
}

func (a *app) showRun(ctx context.Context, r runReader, name string, wait time.Duration, asJSON bool) error {
	run, err := findRun(ctx, r, name)
	if err != nil {
		return err
	}
	d, err := r.Run(ctx, run, wait)
	if err != nil {
		return err
	}
	if asJSON {
		return a.printJSON(d)
	}
	var out bytes.Buffer
	(&drawing{w: &out, d: d, paint: func(code, text string) string { return diag.Paint(colored(a.stdout), code, text) }}).draw()
	_, err = out.WriteTo(a.stdout)
	return err
}
