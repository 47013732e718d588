package main

import (
	"context"
	"fmt"
	"time"

	"facteur/flow/host"
	"facteur/server"

	"github.com/spf13/cobra"
)

func (a *app) healthCommand() *cobra.Command {
	var f remoteFlags
	var asJSON bool
	var wait time.Duration
	c := &cobra.Command{
		Use:   "health",
		Short: "Check that the daemon can work, for people, containers and load balancers",
		Long: `Check that the daemon can work: that it can write its journal and ledger (or that their
servers answer) and that its vault answers. The exit code is 3 if it cannot, or if no daemon
runs. The HTTP equivalent is GET /readyz; GET /healthz only shows that the daemon answers.`,
		Args: none,
		RunE: func(c *cobra.Command, _ []string) error {
			ready, err := a.ready(c.Context(), f, wait)
			if err != nil {
				return err
			}
			return a.printHealth(ready, asJSON)
		},
	}
	f.add(c)
	c.Flags().Var((*durationFlag)(&wait), "wait", "wait up to this long for a daemon that is starting, such as 10s")
	c.Flags().BoolVar(&asJSON, "json", false, "print the checks as JSON")
	return c
}

// ready asks a daemon for its readiness, again and again until it answers or wait is over.
func (a *app) ready(ctx context.Context, f remoteFlags, wait time.Duration) (r *server.Readiness, err error) {
	for end := time.Now().Add(wait); ; {
		d, err := a.daemon(f, "report its health")
		if err == nil {
			r, err = d.Ready(ctx)
		}
		if err == nil && r.Ready || time.Now().After(end) || !host.Sleep(ctx, 20*time.Millisecond) {
			return r, err
		}
	}
}

func (a *app) printHealth(r *server.Readiness, asJSON bool) error {
	if asJSON {
		if err := a.printJSON(r); err != nil {
			return err
		}
	} else {
		for _, c := range r.Checks {
			word, why := "ok", ""
			if !c.OK {
				word, why = "fail", c.Error
			}
			fmt.Fprintf(a.stdout, "%-4s  %-10s %s\n", word, c.Name, why)
		}
	}
	if !r.Ready {
		return &exitError{code: exitSystem}
	}
	return nil
}
