package main

import (
	"fmt"
	"strings"
	"time"

	"facteur/project"
	"facteur/server"

	"github.com/spf13/cobra"
)

func (a *app) keysCommand() *cobra.Command {
	return group(&cobra.Command{
		Use:   "keys",
		Short: "Manage the API keys of the daemon",
		Long: `Manage the API keys of the daemon.

Only hashes of the keys are stored, in the data folder or in the project's server.keys_file,
which daemons with separate data folders may share. A running daemon learns of a change at
once. Until a key exists, a daemon on a loopback address accepts every request, and on any
other address it does not start.

Scopes: read sees everything; run also starts, cancels and retries runs, and delivers
events; admin also settles, releases, pauses, reloads and exports.`,
	}, a.keysCreate(), a.keysList(), a.keysRevoke())
}

// openKeys opens the keys of the project of the working folder.
func (a *app) openKeys() (*project.Project, *server.Keys, error) {
	p, err := a.open(".")
	if err != nil {
		return nil, nil, err
	}
	keys, err := server.OpenKeys(p.KeysFile())
	if err != nil {
		return nil, nil, project.SystemError(err, "")
	}
	return p, keys, nil
}

func (a *app) keysCreate() *cobra.Command {
	var scope string
	var expires time.Duration
	c := &cobra.Command{
		Use:   "create NAME",
		Short: "Create a key and print it, once only",
		Long: `Create a key. NAME tells people what the key is for. The key is printed to standard output
now and cannot be shown again.`,
		Example: "  facteur keys create web-shop --scope run > web-shop.key\n  facteur keys create grafana --scope read --expires 90d",
		Args:    exactly("NAME"),
		RunE: func(c *cobra.Command, args []string) error {
			var end time.Time
			if c.Flags().Changed("expires") {
				if expires < time.Second {
					return project.UserError("such as 12h or 90d", "--expires: the key would already have expired")
				}
				end = time.Now().Add(expires)
			}
			p, keys, err := a.openKeys()
			if err != nil {
				return err
			}
			if _, err := p.DataFolder(); err != nil {
				return err
			}
			a.noteFolder(p)
			key, secret, err := keys.Create(args[0], server.Scope(scope), end)
			if err != nil {
				return err
			}
			fmt.Fprintln(a.stdout, secret)
			fmt.Fprintf(a.stderr, "key %s of %s has the scope %s; revoke it with: facteur keys revoke %s\n", key.ID, key.Name, key.Scope, key.ID)
			return nil
		},
	}
	c.Flags().StringVar(&scope, "scope", string(server.ScopeRun), "what the key allows: read, run or admin")
	c.Flags().Var((*durationFlag)(&expires), "expires", "how long the key is valid, such as 12h or 90d (default: until you revoke it)")
	return c
}

func (a *app) keysList() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:   "list",
		Short: "List the keys, without their secrets",
		Args:  none,
		RunE: func(*cobra.Command, []string) error {
			_, keys, err := a.openKeys()
			if err != nil {
				return err
			}
			list, err := keys.List()
			if err != nil {
				return project.SystemError(err, "")
			}
			if asJSON {
				return a.printJSON(server.KeyList{Keys: list})
			}
			if len(list) == 0 {
				fmt.Fprintln(a.stderr, "no keys")
				return nil
			}
			w := a.table()
			fmt.Fprintln(w, "ID\tNAME\tSCOPE\tCREATED (UTC)\tEXPIRES (UTC)")
			for _, k := range list {
				fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", k.ID, k.Name, k.Scope, date(k.CreatedAt), date(k.ExpiresAt))
			}
			return w.Flush()
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print the list as JSON")
	return c
}

func (a *app) keysRevoke() *cobra.Command {
	return &cobra.Command{
		Use:   "revoke ID",
		Short: "Revoke a key",
		Args:  exactly("ID"),
		RunE: func(_ *cobra.Command, args []string) error {
			_, keys, err := a.openKeys()
			if err != nil {
				return err
			}
			if err := keys.Revoke(args[0]); err != nil {
				return project.UserError(idsOf(keys, args[0]), "%w", err)
			}
			fmt.Fprintf(a.stderr, "key %s was revoked\n", args[0])
			return nil
		},
	}
}

// idsOf is the hint for who names a key by its name, which several keys may have.
func idsOf(keys *server.Keys, name string) string {
	list, _ := keys.List() // the error was told
	var ids []string
	for _, k := range list {
		if k.Name == name {
			ids = append(ids, k.ID)
		}
	}
	if len(ids) == 0 {
		return "facteur keys list shows them"
	}
	return fmt.Sprintf("the id of the key named %s is %s", name, strings.Join(ids, ", or "))
}
