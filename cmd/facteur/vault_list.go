package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"facteur/cmd/facteur/daemon"
	"facteur/project"
	"facteur/vault"

	"github.com/spf13/cobra"
)

func (a *app) vaultList() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:   "list",
		Short: "List the connections, without their secrets",
		Args:  none,
		RunE: func(c *cobra.Command, _ []string) error {
			return a.withVault(func(_ *project.Project, v *vault.Vault) error { return a.listConnections(c.Context(), v, asJSON) })
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print the list as JSON")
	return c
}

func (a *app) listConnections(ctx context.Context, v *vault.Vault, asJSON bool) error {
	infos, err := v.List(ctx)
	if err != nil {
		return err
	}
	if asJSON {
		return a.printJSON(daemon.Connections(infos))
	}
	w := a.table()
	fmt.Fprintln(w, "NAME\tAPP\tBACKEND\tREADY\tHINT\tCREATED\tUPDATED\tREFRESHED")
	for _, i := range infos {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", i.Name, i.App, i.Backend, ready(i), i.Hint, date(i.CreatedAt), date(i.UpdatedAt), date(i.RefreshedAt))
	}
	return w.Flush()
}

func ready(i vault.Info) string {
	switch {
	case i.Ready:
		return "yes"
	case i.Err != nil:
		text, _ := project.Explain(i.Err)
		return "no: " + text
	case len(i.Missing) > 0:
		return "no: " + strings.Join(i.Missing, ", ") + " missing"
	}
	return "no"
}

func date(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.UTC().Format("2006-01-02 15:04")
}
