package main

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"facteur/flow/host"
	"facteur/project"
	"facteur/server"

	"github.com/spf13/cobra"
)

type releaseFlags struct {
	flow     string
	all, yes bool
}

func (a *app) runsRelease(remote *remoteFlags) *cobra.Command {
	var f releaseFlags
	c := &cobra.Command{
		Use:   "release [RUN…]",
		Short: "Release runs that are held since a backup was restored",
		Long: `Release runs that are held since a backup was restored ("facteur serve --restored"): the
runs that you name, all runs of a flow (--flow), or all runs (--all). The last two only
count the runs unless you add --yes.

A run continues from where it was when the backup was made. What it has sent since then is
not in the backup, so a run that you release without checking sends it again. First look in
WhatsApp Manager or in your own records whether its next message was sent. If it was, cancel
the run instead: facteur runs cancel RUN. Cancelled runs are no longer held, so you can then
release the others together.`,
		Example: `  facteur runs list --status held
  facteur runs release 9hu2dv lv7k0c
  facteur runs release --flow reminder          # only counts them
  facteur runs release --flow reminder --yes`,
		Args: func(c *cobra.Command, args []string) error {
			ways := 0
			for _, is := range []bool{len(args) > 0, f.flow != "", f.all} {
				if is {
					ways++
				}
			}
			if ways != 1 {
				return project.UserError(seeHelp(c), "%s takes one of RUN…, --flow FLOW and --all", c.CommandPath())
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error { return a.releaseRuns(c.Context(), *remote, f, args) },
	}
	c.Flags().StringVar(&f.flow, "flow", "", "all held runs of this `flow`")
	c.Flags().BoolVar(&f.all, "all", false, "all held runs")
	c.Flags().BoolVar(&f.yes, "yes", false, "with --flow or --all: release the runs instead of counting them")
	return c
}

func (a *app) releaseRuns(ctx context.Context, remote remoteFlags, f releaseFlags, names []string) error {
	d, runs, err := a.runsToChange(ctx, remote, "release a run", names...)
	if err == nil && len(names) == 0 {
		runs, err = a.heldRuns(ctx, d, remote, f)
	}
	if err != nil || len(runs) == 0 {
		return err
	}
	return a.each(runs, func(run string) error { return d.Release(ctx, run) }, "continues", "continue")
}

// heldRuns returns the held runs, after the user has confirmed that all of them are meant.
func (a *app) heldRuns(ctx context.Context, d *server.Client, remote remoteFlags, f releaseFlags) ([]string, error) {
	var runs []string
	of := map[string]int{}
	q := host.Filter{Flow: f.flow, Status: host.Held, Limit: 1000}
	for more := true; more; more = q.Cursor != "" {
		list, err := d.Runs(ctx, q)
		if err != nil {
			return nil, err
		}
		for _, r := range list.Runs {
			runs = append(runs, r.RunID)
			of[r.Flow]++
		}
		q.Cursor = list.Next
	}
	slices.Reverse(runs) // the first to begin goes on first
	switch {
	case len(runs) == 0:
		fmt.Fprintln(a.stderr, "no runs are held")
		if f.flow != "" {
			a.otherFlows(remote, f.flow)
		}
	case !f.yes:
		var counts []string
		for _, flow := range sortedNames(of) {
			counts = append(counts, fmt.Sprintf("%d of %s", of[flow], flow))
		}
		return nil, project.UserError("check which of them continued after the backup (facteur runs list --status held), cancel those, then add --yes",
			"these would continue, and send again what they have sent since the backup: %s", strings.Join(counts, ", "))
	}
	return runs, nil
}

// each changes runs one after the other. An error does not stop the others, unless the daemon is
// gone.
func (a *app) each(runs []string, change func(run string) error, one, all string) error {
	code, done := 0, 0
	for _, run := range runs {
		err := change(run)
		switch {
		case err == nil:
			done++
			if len(runs) == 1 {
				fmt.Fprintf(a.stderr, "run %s %s; see: facteur runs show %[1]s\n", run, one)
			}
		case len(runs) == 1:
			return err
		default:
			code = max(code, a.report(err))
		}
		if code == exitSystem {
			break
		}
	}
	if len(runs) > 1 {
		fmt.Fprintf(a.stderr, "%d of %d runs %s\n", done, len(runs), all)
	}
	if code != 0 {
		return &exitError{code: code}
	}
	return nil
}
