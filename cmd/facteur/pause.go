package main

import (
	"fmt"
	"strings"
	"time"

	"facteur/flow/host"
	"facteur/project"
	"facteur/server"

	"github.com/spf13/cobra"
)

func (a *app) pauseCommand() *cobra.Command {
	var f remoteFlags
	var reason string
	c := &cobra.Command{
		Use:   "pause all | connection NAME | flow NAME",
		Short: "Hold calls back until you resume them",
		Long: `Hold back the calls of all runs, of one connection or of one flow. Calls in progress finish;
runs still start, wait and receive events, and show what holds them. Timeouts of single calls
stand still meanwhile; those of runs and waits continue.`,
		Example: `  facteur pause connection whatsapp_shop --reason "wrong template"
  facteur pause all`,
		Args: scopeArgs,
		RunE: func(c *cobra.Command, args []string) error {
			d, err := a.daemon(f, "pause")
			if err != nil {
				return err
			}
			scope, name := scopeOf(args)
			if err := d.Pause(c.Context(), server.PauseRequest{Scope: scope, Name: name, Reason: reason}); err != nil {
				return err
			}
			fmt.Fprintf(a.stderr, "paused: %s; resume with: facteur resume %s\n", strings.Join(args, " "), strings.Join(args, " "))
			return nil
		},
	}
	f.add(c)
	c.Flags().StringVar(&reason, "reason", "", "the reason, shown to people")
	return c
}

func (a *app) resumeCommand() *cobra.Command {
	var f remoteFlags
	c := &cobra.Command{
		Use:   "resume all | connection NAME | flow NAME",
		Short: "Release calls that pause, or the daemon itself, holds back",
		Args:  scopeArgs,
		RunE: func(c *cobra.Command, args []string) error {
			d, err := a.daemon(f, "resume")
			if err != nil {
				return err
			}
			scope, name := scopeOf(args)
			if err := d.Resume(c.Context(), server.ResumeRequest{Scope: scope, Name: name}); err != nil {
				return withHint(err, "facteur holds lists what is held back")
			}
			fmt.Fprintf(a.stderr, "resumed: %s\n", strings.Join(args, " "))
			return nil
		},
	}
	f.add(c)
	return c
}

func (a *app) holdsCommand() *cobra.Command {
	var f remoteFlags
	var asJSON bool
	c := &cobra.Command{
		Use:   "holds",
		Short: "List what currently holds calls back",
		Long: `List what currently holds calls back: pauses, and holds that the daemon set by itself because
credentials were refused or the vault cannot be read. The daemon lifts its own holds when the
cause is gone. A number is listed while its rate is reduced because Meta answered that it
sends too fast: each such answer halves the rate, which then grows back within a minute.`,
		Args: none,
		RunE: func(c *cobra.Command, _ []string) error {
			d, err := a.daemon(f, "list what it holds back")
			if err != nil {
				return err
			}
			holds, err := d.Holds(c.Context())
			if err != nil {
				return err
			}
			if asJSON {
				return a.printJSON(holds)
			}
			return a.printHolds(holds.Holds)
		},
	}
	f.add(c)
	c.Flags().BoolVar(&asJSON, "json", false, "print the list as JSON")
	return c
}

func (a *app) printHolds(holds []server.Hold) error {
	if len(holds) == 0 {
		fmt.Fprintln(a.stderr, "nothing is held back")
		return nil
	}
	w := a.table()
	fmt.Fprintln(w, "WHAT\tSINCE (UTC)\tCALLS\tREASON")
	for _, h := range holds {
		what := strings.TrimSpace(string(h.Scope) + " " + h.Name)
		reason := h.Reason
		if h.Auto {
			reason += " (lifted by itself)"
		}
		fmt.Fprintf(w, "%s\t%s\t%d\t%s\n", what, h.Since.UTC().Format(time.DateTime), h.Calls, reason)
	}
	return w.Flush()
}

// scopeArgs wants what is paused: all, or a connection or flow and its name.
func scopeArgs(c *cobra.Command, args []string) error {
	if len(args) == 0 {
		return project.UserError(seeHelp(c), "%s takes all, connection NAME or flow NAME", c.CommandPath())
	}
	switch scope := host.Scope(args[0]); {
	case scope == host.All && len(args) == 1:
		return nil
	case (scope == host.Connection || scope == host.Flow) && len(args) == 2:
		return nil
	case scope == host.Connection || scope == host.Flow:
		return project.UserError(seeHelp(c), "%s %s takes one NAME", c.CommandPath(), scope)
	}
	return project.UserError(seeHelp(c), "%q is not all, connection NAME or flow NAME", strings.Join(args, " "))
}

func scopeOf(args []string) (host.Scope, string) {
	if len(args) == 1 {
		return host.Scope(args[0]), ""
	}
	return host.Scope(args[0]), args[1]
}
