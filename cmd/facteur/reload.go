package main

import (
	"errors"
	"fmt"
	"strings"

	"facteur/project"
	"facteur/server"

	"github.com/spf13/cobra"
)

func (a *app) reloadCommand() *cobra.Command {
	var f remoteFlags
	c := &cobra.Command{
		Use:   "reload",
		Short: "Make the daemon read its flows again",
		Long: `Make the daemon read its flows and settings again: all of them if all are valid, else none.
Active runs continue with the flows and settings that they started with.`,
		Args: none,
		RunE: func(c *cobra.Command, _ []string) error {
			d, err := a.daemon(f, "reload")
			if err != nil {
				return err
			}
			r, err := d.Reload(c.Context())
			if p, ok := errors.AsType[*server.Problem](err); ok && len(p.Diagnostics) > 0 {
				a.printFound(p.Diagnostics)
				return project.UserError(p.Hint, "%s; nothing was changed", p.Title)
			}
			if err != nil {
				return err
			}
			a.printFound(r.Diagnostics)
			fmt.Fprintf(a.stdout, "%s\n", count(r.Flows, "flow"))
			for _, change := range [...]struct {
				what  string
				flows []string
			}{{"added", r.Added}, {"changed", r.Changed}, {"removed", r.Removed}} {
				if len(change.flows) > 0 {
					fmt.Fprintf(a.stdout, "%s: %s\n", change.what, strings.Join(change.flows, ", "))
				}
			}
			return nil
		},
	}
	f.add(c)
	return c
}

// printFound prints what a daemon found in its flows, as facteur validate does.
func (a *app) printFound(found []server.Diagnostic) {
	for _, d := range found {
		fmt.Fprintf(a.stderr, "%s:%d:%d: %s: %s [%s]\n", d.File, d.Line, d.Col, d.Severity, d.Message, d.Code)
		if d.Hint != "" {
			fmt.Fprintf(a.stderr, "  hint: %s\n", d.Hint)
		}
	}
}
