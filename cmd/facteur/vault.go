package main

import (
	"fmt"

	"facteur/project"
	"facteur/vault"

	"github.com/spf13/cobra"
)

func (a *app) vaultCommand() *cobra.Command {
	return group(&cobra.Command{
		Use:   "vault",
		Short: "Manage connections: credentials that flows refer to by name",
		Long: `Manage connections: credentials that flows refer to by name.

Facteur looks for a connection in the environment (FACTEUR_CONNECTION_<NAME>_TOKEN), then in
HashiCorp Vault if facteur.yaml maps its name to a path, then in an encrypted file in the
project's data folder.`,
	}, a.vaultSet(), a.vaultList(), a.vaultCheck(), a.vaultRemove(), a.vaultRotateKey())
}

// withVault calls do with the project that the working folder belongs to, and its vault.
func (a *app) withVault(do func(*project.Project, *vault.Vault) error) error {
	p, err := a.open(".")
	if err != nil {
		return err
	}
	v, err := p.OpenVault(nil)
	if err != nil {
		return err
	}
	defer v.Close()
	return do(p, v)
}

func (a *app) vaultRemove() *cobra.Command {
	return &cobra.Command{
		Use:     "rm NAME",
		Aliases: []string{"remove"},
		Short:   "Remove a connection",
		Args:    exactly("NAME"),
		RunE: func(c *cobra.Command, args []string) error {
			return a.withVault(func(_ *project.Project, v *vault.Vault) error {
				if err := v.Remove(c.Context(), args[0]); err != nil {
					return err
				}
				fmt.Fprintf(a.stderr, "connection %s was removed\n", args[0])
				return nil
			})
		},
	}
}

func (a *app) vaultRotateKey() *cobra.Command {
	return &cobra.Command{
		Use:   "rotate-key",
		Short: "Replace the encryption key of the data folder",
		Long: `Replace the key that encrypts the connections file and the records in the data folder.

The key file then has the new key first, followed by the old ones, which still decrypt older
data. After each rotation, copy the file to a place apart from the data folder: without the
key, nothing can be read. You may remove an old line once no run and no backup from before
the newer key is kept (see retention).

A running daemon picks up the new key by itself and uses it from its next start. If several
daemons share runs, give all of them the new file before you restart any of them.`,
		Args: none,
		RunE: func(*cobra.Command, []string) error {
			return a.withVault(func(_ *project.Project, v *vault.Vault) error {
				if err := v.RotateKey(); err != nil {
					return err
				}
				fmt.Fprintln(a.stderr, "a new key was created; keep a copy of the key file in a safe place")
				return nil
			})
		},
	}
}
