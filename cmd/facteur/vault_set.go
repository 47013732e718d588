package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"text/tabwriter"

	"facteur/flow/diag"
	"facteur/project"
	"facteur/vault"

	"github.com/spf13/cobra"
	"golang.org/x/term"
)

func (a *app) vaultSet() *cobra.Command {
	var app string
	c := &cobra.Command{
		Use:   "set NAME [FIELD=VALUE…] [SECRET…]",
		Short: "Add or change a connection",
		Long: `Add or change a connection. Give plain fields as FIELD=VALUE. The command asks for secret
fields without echo, or reads them from standard input: one FIELD=VALUE per line, or just the
value if only one is needed. Give the name of a secret field to set that one alone. Never give
a secret as an argument.

` + fieldsOfApps(),
		Example: `  facteur vault set whatsapp_shop sender_phone_id=106540352242922
  facteur vault set whatsapp_shop < token.txt
  facteur vault set whatsapp_shop app_secret    # asks only for this secret
  facteur vault set orders_hook --app WEBHOOK type=shared   # then: curl -H "Authorization: Bearer SECRET" …/hooks/orders
  facteur vault set crm --app HTTP type=basic username=shop base_url=https://crm.shop.test`,
		RunE: func(c *cobra.Command, args []string) error {
			if len(args) == 0 {
				return project.UserError(`see "facteur vault set --help"`, "facteur vault set takes the NAME of a connection")
			}
			return a.withVault(func(p *project.Project, v *vault.Vault) error {
				return a.setConnection(c.Context(), p, v, args[0], vault.App(strings.ToUpper(app)), args[1:])
			})
		},
	}
	c.Flags().StringVar(&app, "app", "", "the app: WHATSAPP, HTTP or WEBHOOK (default: taken from facteur.yaml or the flows that use the connection, else WHATSAPP)")
	return c
}

// fieldsOfApps lists what can be set.
func fieldsOfApps() string {
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 4, 2, ' ', 0)
	for _, app := range []vault.App{vault.WhatsApp, vault.HTTP, vault.Webhook} {
		fmt.Fprintf(w, "%s\n", app)
		for _, f := range vault.Fields(app) {
			doc := f.Doc
			if f.For != "" {
				doc += " (type " + f.For + ")"
			}
			if f.Secret {
				doc += "; secret"
			}
			fmt.Fprintf(w, "  %s\t%s\n", f.Name, doc)
		}
	}
	_ = w.Flush() // into memory
	return strings.TrimSpace(b.String())
}

func (a *app) setConnection(ctx context.Context, p *project.Project, v *vault.Vault, name string, app vault.App, args []string) error {
	if app == "" {
		app = p.AppOf(name)
	}
	if !slices.Contains(vault.Apps(), app) {
		return project.UserError("use WHATSAPP, HTTP or WEBHOOK", "there is no app %q", app)
	}
	setup, named, err := fields(app, args)
	if err != nil {
		return err
	}
	kind := setup["type"]
	if kind == "" {
		kind = p.Connections[name].Type
	}
	var ask []vault.Field
	for _, f := range vault.Fields(app) {
		if f.Secret && (f.For == "" || kind == "" || f.For == kind) && (len(named) == 0 || slices.Contains(named, f.Name)) {
			ask = append(ask, f)
		}
	}
	secrets, err := a.readSecrets(ctx, ask)
	if err != nil {
		return err
	}
	if len(setup)+len(secrets) == 0 {
		return project.UserError("give the secret on standard input, or fields as FIELD=VALUE", "there is nothing to store in %s", name)
	}
	if err := v.Set(ctx, name, app, setup, secrets); err != nil {
		return err
	}
	a.noteFolder(p)
	fmt.Fprintf(a.stderr, "connection %s (%s) was stored; check it with: facteur vault check %s\n", name, app, name)
	infos, err := v.List(ctx)
	for _, i := range infos {
		if i.Name == name && !i.Ready {
			a.warn("it is not ready: %s", strings.TrimPrefix(ready(i), "no: "))
		}
	}
	return err
}

// fields reads the arguments: plain fields with their values, and the names of secret ones.
func fields(app vault.App, args []string) (setup map[string]string, secrets []string, err error) {
	setup = map[string]string{}
	for _, arg := range args {
		key, value, given := strings.Cut(arg, "=")
		i := slices.IndexFunc(vault.Fields(app), func(f vault.Field) bool { return f.Name == key })
		switch {
		case i < 0 && key == "messages_per_second":
			return nil, nil, project.UserError("put it under connections: in "+project.FileName, "%s is not stored with the secrets", key)
		case i < 0 && !given:
			return nil, nil, project.UserError("write FIELD=VALUE, or the name of a secret field", "%q has no =", arg)
		case i < 0:
			var known []string
			for _, f := range vault.Fields(app) {
				known = append(known, f.Name)
			}
			return nil, nil, project.UserError(diag.DidYouMean(key, "fields", known)+"; --app says what the connection is for", "an app %s connection has no field %q", app, key)
		case vault.Fields(app)[i].Secret && given:
			return nil, nil, project.UserError("give only its name: the command then asks for it or reads it from standard input; what you typed may be in the shell's history", "%s is a secret, which must never be given as an argument", key)
		case vault.Fields(app)[i].Secret:
			secrets = append(secrets, key)
		case !given:
			return nil, nil, project.UserError("write "+key+"=VALUE", "%q has no =", arg)
		default:
			setup[key] = value
		}
	}
	return setup, secrets, nil
}

// readSecrets asks for secret fields, or reads them from standard input.
func (a *app) readSecrets(ctx context.Context, fields []vault.Field) (map[string]vault.Secret, error) {
	if f, ok := a.stdin.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		return a.askSecrets(ctx, int(f.Fd()), fields)
	}
	secrets := map[string]vault.Secret{}
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
			return nil, project.UserError("write one FIELD=VALUE per line", "line %d of standard input does not name a secret field", n)
		}
	}
	if err := lines.Err(); err != nil {
		return nil, project.UserError("", "read standard input: %w", err)
	}
	return secrets, nil
}

// askSecrets asks for secret fields without echo. An interrupt leaves the terminal as it
// was.
func (a *app) askSecrets(ctx context.Context, terminal int, fields []vault.Field) (map[string]vault.Secret, error) {
	before, err := term.GetState(terminal)
	if err != nil {
		return nil, project.SystemError(fmt.Errorf("the terminal: %w", err), "")
	}
	ctx, _, stop := a.interrupts(ctx, func(int) {})
	defer stop()
	secrets := map[string]vault.Secret{}
	type answer struct {
		text []byte
		err  error
	}
	for _, field := range fields {
		optional := ""
		if !field.Required {
			optional = ", Enter to leave it empty"
		}
		fmt.Fprintf(a.stderr, "%s (%s%s): ", field.Name, field.Doc, optional)
		answered := make(chan answer, 1)
		go func() {
			text, err := term.ReadPassword(terminal)
			answered <- answer{text, err}
		}()
		select {
		case <-ctx.Done():
			_ = term.Restore(terminal, before)
			return nil, project.UserError("", "\ninterrupted: nothing was stored")
		case got := <-answered:
			fmt.Fprintln(a.stderr)
			if got.err != nil {
				return nil, project.UserError("", "read %s: %w", field.Name, got.err)
			}
			if text := strings.TrimSpace(string(got.text)); text != "" {
				secrets[field.Name] = vault.NewSecret(text)
			}
		}
	}
	return secrets, nil
}
