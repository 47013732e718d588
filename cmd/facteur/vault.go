package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"facteur/actions/whatsapp"
	"facteur/vault"

	"github.com/spf13/cobra"
	"golang.org/x/term"
)

func (a *app) vaultCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "vault",
		Short: "Keep connections: named credentials that flows use by name",
		Long: `Keep connections: named credentials that flows use by name.

A connection is found, in this order, in the environment (FACTEUR_CONNECTION_<NAME>_TOKEN),
in HashiCorp Vault, where facteur.yaml maps its name to a path, and in an encrypted file
in the project's data folder.`,
		Args: subcommand,
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(a.vaultSet(), a.vaultList(), a.vaultCheck(), a.vaultRemove())
	return c
}

// openVault opens the vault of the project that the working folder belongs to.
func (a *app) openVault() (*project, *vault.Vault, error) {
	p, found, err := openProject(".")
	if err != nil {
		return nil, nil, err
	}
	if err := a.diagnose(found); err != nil {
		return nil, nil, err
	}
	v, err := p.vault(nil)
	return p, v, err
}

func (a *app) vaultSet() *cobra.Command {
	var app string
	c := &cobra.Command{
		Use:   "set NAME [FIELD=VALUE…]",
		Short: "Add a connection, or change it",
		Long: `Add a connection, or change it. Fields that are no secrets are given as FIELD=VALUE.
Secret fields are asked for without echo, or read from standard input: one FIELD=VALUE a
line, or, when only one is needed, its value alone. A secret is never an argument.`,
		Example: "  facteur vault set whatsapp_shop sender_phone_id=106540352242922\n  facteur vault set whatsapp_shop < token.txt",
		RunE: func(c *cobra.Command, args []string) error {
			if len(args) == 0 {
				return wrong(`see "facteur vault set --help"`, "facteur vault set takes the NAME of a connection")
			}
			return a.setConnection(c.Context(), args[0], vault.App(strings.ToUpper(app)), args[1:])
		},
	}
	c.Flags().StringVar(&app, "app", "", "what it is for: WHATSAPP, HTTP or WEBHOOK (default: what facteur.yaml says, else WHATSAPP)")
	return c
}

func (a *app) setConnection(ctx context.Context, name string, app vault.App, args []string) error {
	p, v, err := a.openVault()
	if err != nil {
		return err
	}
	defer v.Close()
	if app == "" {
		app = vault.WhatsApp
		if declared, ok := p.Connections[name]; ok {
			app = vault.App(declared.App)
		}
	}
	if !slices.Contains(vault.Apps(), app) {
		return wrong("it is WHATSAPP, HTTP or WEBHOOK", "there is no app %q", app)
	}
	setup, err := plainFields(app, args)
	if err != nil {
		return err
	}
	kind := setup["type"]
	if kind == "" {
		kind = p.Connections[name].Type
	}
	var ask []vault.Field
	for _, f := range vault.Fields(app) {
		if f.Secret && (f.For == "" || kind == "" || f.For == kind) {
			ask = append(ask, f)
		}
	}
	secrets, err := a.readSecrets(ask)
	if err != nil {
		return err
	}
	if err := v.Set(ctx, name, app, setup, secrets); err != nil {
		return vaultError(err)
	}
	fmt.Fprintf(a.stderr, "connection %s is stored; check it with: facteur vault check %s\n", name, name)
	return nil
}

func plainFields(app vault.App, args []string) (map[string]string, error) {
	setup := map[string]string{}
	for _, arg := range args {
		key, value, ok := strings.Cut(arg, "=")
		if !ok {
			return nil, wrong("write FIELD=VALUE", "%q has no =", arg)
		}
		i := slices.IndexFunc(vault.Fields(app), func(f vault.Field) bool { return f.Name == key })
		if i < 0 {
			return nil, wrong("see \"facteur vault set --help\"", "an app %s connection has no field %q", app, key)
		}
		if vault.Fields(app)[i].Secret {
			return nil, wrong("leave it out: it is asked for, or read from standard input. What was typed may be in the shell's history", "%s is a secret, and a secret is never an argument", key)
		}
		setup[key] = value
	}
	return setup, nil
}

// readSecrets asks for secret fields, or reads them from standard input.
func (a *app) readSecrets(fields []vault.Field) (map[string]vault.Secret, error) {
	secrets := map[string]vault.Secret{}
	if f, ok := a.stdin.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		for _, field := range fields {
			optional := ""
			if !field.Required {
				optional = ", Enter for none"
			}
			fmt.Fprintf(a.stderr, "%s (%s%s): ", field.Name, field.Doc, optional)
			value, err := term.ReadPassword(int(f.Fd()))
			fmt.Fprintln(a.stderr)
			if err != nil {
				return nil, wrong("", "read %s: %w", field.Name, err)
			}
			if text := strings.TrimSpace(string(value)); text != "" {
				secrets[field.Name] = vault.NewSecret(text)
			}
		}
		return secrets, nil
	}
	lines := bufio.NewScanner(io.LimitReader(a.stdin, 1<<20))
	n := 0
	for lines.Scan() {
		line := strings.TrimSpace(lines.Text())
		if line == "" {
			continue
		}
		n++
		key, value, ok := strings.Cut(line, "=")
		known := slices.ContainsFunc(fields, func(f vault.Field) bool { return f.Name == key })
		switch {
		case ok && known:
			secrets[key] = vault.NewSecret(value)
		case n == 1 && len(fields) > 0:
			secrets[fields[0].Name] = vault.NewSecret(line) // its value alone
		default:
			return nil, wrong("write one FIELD=VALUE a line", "line %d of standard input names no secret field", n)
		}
	}
	if err := lines.Err(); err != nil {
		return nil, wrong("", "read standard input: %w", err)
	}
	return secrets, nil
}

func (a *app) vaultList() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:   "list",
		Short: "List the connections, never their secrets",
		Args:  none,
		RunE: func(c *cobra.Command, _ []string) error {
			_, v, err := a.openVault()
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

func (a *app) vaultRemove() *cobra.Command {
	return &cobra.Command{
		Use:     "rm NAME",
		Aliases: []string{"remove"},
		Short:   "Remove a connection",
		Args:    exactly("NAME"),
		RunE: func(c *cobra.Command, args []string) error {
			_, v, err := a.openVault()
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

func (a *app) vaultCheck() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:   "check NAME",
		Short: "Check that a connection works, asking Meta where it is for WhatsApp",
		Args:  exactly("NAME"),
		RunE: func(c *cobra.Command, args []string) error {
			_, v, err := a.openVault()
			if err != nil {
				return err
			}
			defer v.Close()
			return a.checkConnection(c.Context(), v, args[0], asJSON)
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print the findings as JSON")
	return c
}

func (a *app) checkConnection(ctx context.Context, v *vault.Vault, name string, asJSON bool) error {
	conn, err := v.Resolve(ctx, name)
	if err != nil {
		return vaultError(err)
	}
	findings := []whatsapp.Finding{{Name: "secret", Level: whatsapp.OK, Detail: "the connection can be read"}}
	if conn.App == vault.WhatsApp {
		findings = whatsapp.CheckConnection(ctx, &http.Client{Timeout: 15 * time.Second}, conn)
	}
	if asJSON {
		if err := a.printJSON(findings); err != nil {
			return err
		}
	}
	failed := false
	for _, f := range findings {
		failed = failed || f.Level == whatsapp.Fail
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
		return &exitError{code: exitSurroundings}
	}
	return nil
}

// vaultError gives a vault's error its exit code.
func vaultError(err error) error {
	if _, ok := errors.AsType[*vault.BackendError](err); ok {
		return surroundings(err, "")
	}
	if unknown, ok := errors.AsType[*vault.UnknownConnectionError](err); ok {
		hint := fmt.Sprintf("add it with: facteur vault set %s", unknown.Name)
		return surroundings(err, hint)
	}
	return wrong("", "%w", err)
}
