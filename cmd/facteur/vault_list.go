package main

import (
	"fmt"
	"strings"
	"text/tabwriter"
	"time"

	"facteur/vault"

	"github.com/spf13/cobra"
)

func (a *app) vaultList() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:   "list",
		Short: "List the connections, never their secrets",
		Args:  none,
		RunE: func(c *cobra.Command, _ []string) error {
			_, v, err := a.projectVault()
			if err != nil {
				return err
			}
			defer v.Close()
			infos, err := v.List(c.Context())
			if err != nil {
				return vaultError(err)
			}
			if asJSON {
				return a.printInfos(infos)
			}
			w := tabwriter.NewWriter(a.stdout, 0, 4, 2, ' ', 0)
			fmt.Fprintln(w, "NAME\tAPP\tBACKEND\tREADY\tHINT\tCREATED\tUPDATED\tREFRESHED")
			for _, i := range infos {
				fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", i.Name, i.App, i.Backend, ready(i), i.Hint, date(i.CreatedAt), date(i.UpdatedAt), date(i.RefreshedAt))
			}
			return w.Flush()
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print the list as JSON")
	return c
}

func ready(i vault.Info) string {
	switch {
	case i.Ready:
		return "yes"
	case i.Err != nil:
		text, _ := said(i.Err)
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

func (a *app) printInfos(infos []vault.Info) error {
	type infoJSON struct {
		Name      string   `json:"name"`
		App       string   `json:"app"`
		Backend   string   `json:"backend"`
		Ready     bool     `json:"ready"`
		Missing   []string `json:"missing,omitempty"`
		Problem   string   `json:"problem,omitempty"`
		Hint      string   `json:"hint,omitempty"`
		Created   string   `json:"created_at,omitempty"`
		Updated   string   `json:"updated_at,omitempty"`
		Refreshed string   `json:"refreshed_at,omitempty"`
	}
	stamp := func(t time.Time) string {
		if t.IsZero() {
			return ""
		}
		return t.UTC().Format(time.RFC3339)
	}
	list := []infoJSON{}
	for _, i := range infos {
		x := infoJSON{i.Name, string(i.App), i.Backend, i.Ready, i.Missing, "", i.Hint, stamp(i.CreatedAt), stamp(i.UpdatedAt), stamp(i.RefreshedAt)}
		if i.Err != nil {
			x.Problem = i.Err.Error()
		}
		list = append(list, x)
	}
	return a.printJSON(list)
}
