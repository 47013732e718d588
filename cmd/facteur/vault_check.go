package main

import (
	"context"
	"fmt"

	"facteur/actions/whatsapp/account"
	"facteur/project"
	"facteur/vault"

	"github.com/spf13/cobra"
)

func (a *app) vaultCheck() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:   "check NAME",
		Short: "Check that a connection works; for WhatsApp, by asking Meta",
		Args:  exactly("NAME"),
		RunE: func(c *cobra.Command, args []string) error {
			return a.withVault(func(_ *project.Project, v *vault.Vault) error {
				return a.printFindings(checkConnection(c.Context(), v, args[0]), asJSON)
			})
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print the findings as JSON")
	return c
}

func checkConnection(ctx context.Context, v *vault.Vault, name string) []account.Finding {
	conn, err := v.Resolve(ctx, name)
	switch {
	case err != nil:
		cause, cure := project.Explain(err)
		return []account.Finding{{Name: "secret", Level: account.Fail, Detail: "the connection cannot be read", Cause: cause, Cure: cure}}
	case conn.App == vault.WhatsApp:
		return account.CheckConnection(ctx, nil, conn)
	}
	return []account.Finding{{Name: "secret", Level: account.OK, Detail: "the connection can be read"}}
}

// printFindings shows what was found. One that is bad makes the command fail.
func (a *app) printFindings(findings []account.Finding, asJSON bool) error {
	if asJSON {
		if err := a.printJSON(findings); err != nil {
			return err
		}
	}
	failed := false
	for _, f := range findings {
		failed = failed || f.Level == account.Fail
		if asJSON {
			continue
		}
		fmt.Fprintf(a.stdout, "%-4s  %-14s %s\n", f.Level, f.Name, f.Detail)
		if f.Cause != "" {
			fmt.Fprintf(a.stdout, "      cause: %s\n", f.Cause)
		}
		if f.Cure != "" {
			fmt.Fprintf(a.stdout, "      cure:  %s\n", f.Cure)
		}
	}
	if failed {
		return &exitError{code: exitSystem}
	}
	return nil
}
