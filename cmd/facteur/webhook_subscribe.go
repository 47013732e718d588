package main

import (
	"cmp"
	"context"
	"net/url"
	"strings"

	"facteur/actions/whatsapp/account"
	"facteur/cmd/facteur/daemon"
	"facteur/project"
	"facteur/vault"

	"github.com/spf13/cobra"
)

func (a *app) webhookSubscribe() *cobra.Command {
	var override, asJSON bool
	var public string
	c := &cobra.Command{
		Use:   "subscribe CONNECTION",
		Short: "Make Meta send an account's webhooks to the token's app",
		Long: `Make Meta send the webhooks of an account (waba_id) to the app of the connection's token. Set
the app's address in its dashboard (WhatsApp, Configuration): the callback URL that "facteur
serve" prints, and the verify token of the connection.

With --override, Meta sends them to this daemon, whatever the app's address is. Meta verifies
the address at once, so the daemon must be running and reachable at its public URL.`,
		Args: exactly("CONNECTION"),
		RunE: func(c *cobra.Command, args []string) error {
			return a.withWhatsApp(c.Context(), args[0], func(p *project.Project, conn vault.Connection) (err error) {
				callback := ""
				if override {
					if callback, err = callbackURL(p, public, args[0]); err != nil {
						return err
					}
				}
				return a.printFindings(account.SubscribeWebhooks(c.Context(), nil, conn, callback), asJSON)
			})
		},
	}
	c.Flags().BoolVar(&override, "override", false, "send the webhooks to this daemon's public URL, whatever the app's address is")
	c.Flags().StringVar(&public, "public-url", "", "the public URL of the daemon (default: server.public_url in facteur.yaml)")
	c.Flags().BoolVar(&asJSON, "json", false, "print the findings as JSON")
	return c
}

func (a *app) webhookCheck() *cobra.Command {
	var asJSON bool
	var public string
	c := &cobra.Command{
		Use:   "check CONNECTION",
		Short: "Verify the public URL the way Meta does",
		Args:  exactly("CONNECTION"),
		RunE: func(c *cobra.Command, args []string) error {
			return a.withWhatsApp(c.Context(), args[0], func(p *project.Project, conn vault.Connection) error {
				callback, err := callbackURL(p, public, args[0])
				if err != nil {
					return err
				}
				return a.printFindings(account.CheckCallback(c.Context(), nil, conn, callback), asJSON)
			})
		},
	}
	c.Flags().StringVar(&public, "public-url", "", "the public URL of the daemon (default: server.public_url in facteur.yaml)")
	c.Flags().BoolVar(&asJSON, "json", false, "print the findings as JSON")
	return c
}

// withWhatsApp calls do with a WhatsApp connection of the project of the working folder.
func (a *app) withWhatsApp(ctx context.Context, name string, do func(*project.Project, vault.Connection) error) error {
	return a.withVault(func(p *project.Project, v *vault.Vault) error {
		conn, err := v.Resolve(ctx, name)
		switch {
		case err != nil:
			return err
		case conn.App != vault.WhatsApp:
			return project.UserError("name a connection of app WHATSAPP", "connection %s is for %s", name, conn.App)
		}
		return do(p, conn)
	})
}

// callbackURL is the address of a connection's webhooks as the world sees it.
func callbackURL(p *project.Project, public, connection string) (string, error) {
	public = cmp.Or(public, p.Server.PublicURL)
	if public == "" {
		return "", project.UserError("give --public-url https://…, or server: {public_url: https://…} in "+project.FileName, "the daemon's public URL is not known")
	}
	if err := checkPublicURL(public); err != nil {
		return "", err
	}
	return strings.TrimSuffix(public, "/") + daemon.WebhookPath(connection), nil
}

func checkPublicURL(public string) error {
	u, err := url.Parse(public)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.RawQuery != "" || u.Fragment != "" {
		return project.UserError("write it as https://facteur.shop.test", "the public URL %q is not the address of a server", public)
	}
	return nil
}
