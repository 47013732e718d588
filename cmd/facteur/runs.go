package main

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"time"

	"facteur/flow/diag"
	"facteur/flow/host"
	"facteur/flow/schema"
	"facteur/project"
	"facteur/server"

	"github.com/spf13/cobra"
)

func (a *app) runsCommand() *cobra.Command {
	var f remoteFlags
	c := &cobra.Command{
		Use:   "runs",
		Short: "Inspect runs and act on them",
		Long: `Inspect runs and act on them.

The commands ask the daemon of this project's data folder, or another one with --server.
If no daemon runs, list, show, events and export read the data folder directly.

` + namingRuns + `
For show, events and export, "last" is the run that started last.`,
	}
	f.add(c)
	return group(c,
		a.runsList(&f), a.runsShow(&f), a.runsEvents(&f), a.runsStart(&f), a.runsCancel(&f), a.runsRetry(&f),
		a.runsSettle(&f), a.runsRelease(&f), a.runsRerun(&f), a.runsExport(&f),
	)
}

// A runReader reads runs: from a daemon, or from a data folder.
type runReader interface {
	Runs(ctx context.Context, q host.Filter) (*server.RunList, error)
	Run(ctx context.Context, run string, wait time.Duration) (*server.Detail, error)
}

type listFlags struct {
	host.Filter
	since, until string
	json         bool
}

func (a *app) runsList(remote *remoteFlags) *cobra.Command {
	var f listFlags
	c := &cobra.Command{
		Use:   "list",
		Short: "List runs, newest first",
		Example: `  facteur runs list --status unknown
  facteur runs list --flow order_shipped --since 24h --json
  facteur runs list --recipient +33612345678`,
		Args: none,
		RunE: func(c *cobra.Command, _ []string) error { return a.listRuns(c.Context(), *remote, f) },
	}
	c.Flags().StringVar(&f.Flow, "flow", "", "only runs of this `flow`")
	c.Flags().StringVar((*string)(&f.Status), "status", "", "only runs with this status: running, waiting (including paused ones), queued, held (since a backup was restored), succeeded, failed, cancelled, rejected or replay_mismatch; or unknown: runs with a call whose outcome is unknown")
	c.Flags().StringVar(&f.Recipient, "recipient", "", "only runs that wrote to this `contact`, as named in flows")
	c.Flags().StringVar(&f.since, "since", "", "only runs that started at or after this `time`, such as 2026-01-31T08:00:00Z, or 24h for 24 hours ago")
	c.Flags().StringVar(&f.until, "until", "", "only runs that started before this `time`, or so long ago")
	c.Flags().IntVar(&f.Limit, "limit", 100, "at most `N` runs (maximum 1000)")
	c.Flags().StringVar(&f.Cursor, "cursor", "", "continue a list: the value of its `next`")
	c.Flags().BoolVar(&f.json, "json", false, "print the list as JSON")
	return c
}

var nationalNumber = regexp.MustCompile(`^0[0-9 .-]+$`)

func (a *app) listRuns(ctx context.Context, remote remoteFlags, f listFlags) error {
	var err error
	if f.Since, err = parseTime("--since", f.since); err != nil {
		return err
	}
	if f.Until, err = parseTime("--until", f.until); err != nil {
		return err
	}
	switch {
	case f.Status == "unknown":
		f.Status, f.Unknown = "", true
	case f.Status != "" && !slices.Contains(server.Statuses(), string(f.Status)):
		return project.UserError(diag.DidYouMean(string(f.Status), "statuses", append(server.Statuses(), "unknown")), "there is no status %q", f.Status)
	}
	return a.withRunReader(ctx, remote, func(r runReader) error {
		list, err := r.Runs(ctx, f.Filter)
		if err != nil {
			return err
		}
		if f.json {
			return a.printJSON(list)
		}
		if len(list.Runs) == 0 && f.Flow != "" {
			a.otherFlows(remote, f.Flow)
		}
		if len(list.Runs) == 0 && nationalNumber.MatchString(f.Recipient) {
			return project.UserError("write it as +33612345678", "no runs wrote to %q, which is not a phone number with a country code", f.Recipient)
		}
		return a.printRuns(list)
	})
}

// otherFlows notes that the project has no such flow now, if its files are here.
func (a *app) otherFlows(remote remoteFlags, name string) {
	if remote.address() != "" {
		return
	}
	p, err := a.open(".")
	if err != nil {
		return // it was told
	}
	flows, err := p.Index()
	if err != nil || flows[name] != nil || len(flows) == 0 {
		return
	}
	a.note("the project has no flow %q; %s", name, diag.DidYouMean(name, "flows", sortedNames(flows)))
}

func (a *app) printRuns(list *server.RunList) error {
	if len(list.Runs) == 0 {
		fmt.Fprintln(a.stderr, "no runs")
		return nil
	}
	w := a.table()
	fmt.Fprintln(w, "RUN\tFLOW\tSTATUS\tSTARTED (UTC)\tTOOK\tBY")
	for _, r := range list.Runs {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\n", r.RunID, r.Flow, statusOf(r), r.StartedAt.UTC().Format(time.DateTime), took(r.StartedAt, r.EndedAt), r.By)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	if list.Next != "" {
		fmt.Fprintf(a.stderr, "there are more: --cursor %s\n", list.Next)
	}
	return nil
}

// statusOf is the status of a run, with the number of calls whose outcome is unknown.
func statusOf(r server.Run) string {
	if r.Unknown == 0 {
		return string(r.Status)
	}
	return fmt.Sprintf("%s, %d unknown", r.Status, r.Unknown)
}

func took(start, end time.Time) string {
	if end.IsZero() {
		return "-"
	}
	return schema.FormatDuration(end.Sub(start).Round(time.Millisecond))
}

// parseTime reads a time, or a duration before now; "" is the zero time.
func parseTime(flag, text string) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	if t, err := time.Parse(time.RFC3339Nano, text); err == nil {
		return t, nil
	}
	ago, err := schema.ParseDuration(text)
	if err != nil {
		return time.Time{}, project.UserError("write a time such as 2026-01-31T08:00:00Z, or how long ago: 90m, 24h, 7d", "%s: %q is neither a time nor a duration", flag, text)
	}
	return time.Now().Add(-ago), nil
}

// withRunReader calls read with the daemon, or with the data folder if no daemon runs.
func (a *app) withRunReader(ctx context.Context, f remoteFlags, read func(runReader) error) error {
	c, err := a.remote(f)
	if err != nil {
		return err
	}
	if c != nil {
		return read(c)
	}
	p, err := a.open(".")
	if err != nil {
		return err
	}
	folder, err := a.openFolder(ctx, p)
	if err != nil {
		return err
	}
	defer folder.close()
	return read(folder)
}
