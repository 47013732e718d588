package main

import (
	"errors"
	"fmt"

	"facteur/project"
	"facteur/vault"

	"github.com/spf13/cobra"
)

func (a *app) vaultCommand() *cobra.Command {
	return group(&cobra.Command{
		Use:   "vault",
		Short: "Keep connections: named credentials that flows use by name",
		Long: `Keep connections: named credentials that flows use by name.

A connection is found, in this order, in the environment (FACTEUR_CONNECTION_<NAME>_TOKEN),
in HashiCorp Vault, where facteur.yaml maps its name to a path, and in an encrypted file
in the project's data folder.`,
	}, a.vaultSet(), a.vaultList(), a.vaultCheck(), a.vaultRemove(), a.vaultRotateKey())
}

// projectVault opens the vault of the project that the working folder belongs to.
func (a *app) projectVault() (*project.Project, *vault.Vault, error) {
	p, err := a.open(".")
	if err != nil {
		return nil, nil, err
	}
	v, err := p.OpenVault(nil)
	return p, v, err
}

func (a *app) vaultRemove() *cobra.Command {
	return &cobra.Command{
		Use:     "rm NAME",
		Aliases: []string{"remove"},
		Short:   "Remove a connection",
		Args:    exactly("NAME"),
		RunE: func(c *cobra.Command, args []string) error {
			_, v, err := a.projectVault()
			if err != nil {
				return err
			}
			defer v.Close()
			if err := v.Remove(c.Context(), args[0]); err != nil {
				return vaultError(err)
			}
			fmt.Fprintf(a.stderr, "connection %s is removed\n", args[0])
			return nil
		},
	}
}

func (a *app) vaultRotateKey() *cobra.Command {
	return &cobra.Command{
		Use:   "rotate-key",
		Short: "Make a new key for the encrypted file and for what is sealed",
		Long: `Make a new key for the encrypted file and for what is sealed in the data folder.

The key file holds the new key first and the old ones behind it: they still open what was
sealed before them. Keep a copy of the file after each rotation, apart from the data
folder: without the key nothing opens. An old line may be removed once no run that is
older than the new one is kept (see retention), and no backup either.

A daemon that runs takes the new key up by itself, and uses it with its next start. Where several
share runs, give all of them the new file before one of them starts anew.`,
		Args: none,
		RunE: func(*cobra.Command, []string) error {
			_, v, err := a.projectVault()
			if err != nil {
				return err
			}
			defer v.Close()
			if err := v.RotateKey(); err != nil {
				return vaultError(err)
			}
			fmt.Fprintln(a.stderr, "there is a new key; keep a copy of the key file in a safe place")
			return nil
		},
	}
}

// vaultError gives a vault's error its exit code.
func vaultError(err error) error {
	_, broken := errors.AsType[*vault.BackendError](err)
	_, unknown := errors.AsType[*vault.UnknownConnectionError](err)
	if broken || unknown {
		return systemError(err, "")
	}
	return userError("", "%w", err)
}
