package main

import (
	"errors"
	"fmt"
	"strings"

	"facteur/project"
	"facteur/server"

	"github.com/spf13/cobra"
)

func (a *app) runsCancel(f *remoteFlags) *cobra.Command {
	var r server.CancelRequest
	c := &cobra.Command{
		Use:   "cancel RUN…",
		Short: "Cancel runs: calls in progress finish, and finally runs",
		Args:  atLeastOne("RUN"),
		RunE: func(c *cobra.Command, args []string) error {
			d, runs, err := a.runsToChange(c.Context(), *f, "cancel a run", args...)
			if err != nil {
				return err
			}
			return a.each(runs, func(run string) error { return d.Cancel(c.Context(), run, r) }, "was asked to end", "were asked to end")
		},
	}
	c.Flags().StringVar(&r.Reason, "reason", "", "the reason, shown to people")
	return c
}

func (a *app) runsRetry(f *remoteFlags) *cobra.Command {
	var r server.RetryRequest
	c := &cobra.Command{
		Use:   "retry RUN",
		Short: "Resume a failed run from what failed",
		Long: `Resume a run that failed or was cancelled. What succeeded is kept; what failed is repeated,
in a foreach only the iterations that failed.

A step whose outcome is unknown may have happened, so it is repeated only with --resend.
It is better to settle it first: facteur runs settle.`,
		Args: exactly("RUN"),
		RunE: func(c *cobra.Command, args []string) error {
			d, runs, err := a.runsToChange(c.Context(), *f, "retry a run", args[0])
			if err != nil {
				return err
			}
			if err := d.Retry(c.Context(), runs[0], r); err != nil {
				if p, ok := errors.AsType[*server.Problem](err); ok {
					p.Hint = strings.Replace(p.Hint, "retry with resend", "retry with --resend", 1) // as it is written here
				}
				return err
			}
			fmt.Fprintf(a.stderr, "run %s continues; see: facteur runs show %[1]s\n", runs[0])
			return nil
		},
	}
	c.Flags().BoolVar(&r.Resend, "resend", false, "also repeat calls whose outcome is unknown: a message may arrive twice")
	return c
}

func (a *app) runsSettle(f *remoteFlags) *cobra.Command {
	var sent string
	var notSent bool
	c := &cobra.Command{
		Use:   "settle RUN STEP",
		Short: "Settle a step whose outcome is unknown",
		Long: `Settle a step whose outcome is unknown, once you know it from the recipient, from WhatsApp
Manager or from the API that was called. The record is corrected. A run that still waits for
the outcome continues; one that has ended does not (see retry).

STEP is the path that "runs show" prints, or the step's id if it is unambiguous, or, for a
run whose journal no longer fits, the call key.`,
		Example: `  facteur runs settle lv7k… notify --sent wamid.HBgL…
  facteur runs settle lv7k… notify --sent=          # it was sent, but its id is not known
  facteur runs settle lv7k… notify --not-sent`,
		Args: exactly("RUN", "STEP"),
		RunE: func(c *cobra.Command, args []string) error {
			happened := c.Flags().Changed("sent")
			if happened == notSent {
				return project.UserError("if you do not know the message's id, write --sent=", "give either --sent WAMID or --not-sent")
			}
			d, runs, err := a.runsToChange(c.Context(), *f, "settle a step", args[0])
			if err != nil {
				return err
			}
			r := server.SettleRequest{Step: args[1], Happened: happened, MessageID: sent}
			if err := d.Settle(c.Context(), runs[0], r); err != nil {
				return withHint(err, "facteur runs show "+runs[0]+" names its steps")
			}
			fmt.Fprintf(a.stderr, "step %s of run %s is settled\n", args[1], runs[0])
			return nil
		},
	}
	c.Flags().StringVar(&sent, "sent", "", "it happened; the `wamid`, or the API's id for it, if you know it")
	c.Flags().BoolVar(&notSent, "not-sent", false, "it did not happen")
	return c
}

func (a *app) runsRerun(f *remoteFlags) *cobra.Command {
	var r server.RerunRequest
	var s startFlags
	c := &cobra.Command{
		Use:   "rerun RUN",
		Short: "Start a new run with the same inputs",
		Long: `Start a new run with the inputs of another run, and with the same version of the flow, or
the current one with --latest. It repeats every step, whatever the other run has done.`,
		Args: exactly("RUN"),
		RunE: func(c *cobra.Command, args []string) error {
			d, runs, err := a.runsToChange(c.Context(), *f, "start a run", args[0])
			if err != nil {
				return err
			}
			started, err := d.Rerun(c.Context(), runs[0], r, s.StartOption)
			return a.printStarted(started, err, s)
		},
	}
	c.Flags().BoolVar(&r.Latest, "latest", false, "run the current version of the flow")
	s.add(c)
	return c
}
