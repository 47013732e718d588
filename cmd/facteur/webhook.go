package main

import (
	"encoding/json"
	"errors"
	"fmt"

	"facteur/actions/whatsapp/inbound"
	"facteur/project"

	"github.com/spf13/cobra"
)

func (a *app) webhookCommand() *cobra.Command {
	return group(&cobra.Command{
		Use:   "webhook",
		Short: "Have Meta send webhooks, and inspect them",
	}, a.webhookInspect(), a.webhookSubscribe(), a.webhookCheck())
}

func (a *app) webhookInspect() *cobra.Command {
	var raw bool
	c := &cobra.Command{
		Use:   "inspect FILE…|-",
		Short: "Print the content of webhook bodies, one JSON object per line",
		Long: `Print the content of webhook bodies, one JSON object per line.

A file holds one body, or one per line; - is standard input. Each message, status, error and
change becomes a line. All kinds have the same fields: kind, phone_number_id, message_id,
from, to, status, timestamp, callback_data, text, reply_id, details, errors. Unknown fields
are ignored; a change of an unknown kind is printed with the kind unknown.

The exit code is 2 if a body is not a webhook of the WhatsApp Cloud API.`,
		Example: "  facteur webhook inspect body.json\n  facteur webhook inspect - < bodies.jsonl | grep '\"status\":\"failed\"'",
		Args:    atLeastOne("FILE"),
		RunE:    func(_ *cobra.Command, args []string) error { return a.inspectWebhooks(args, raw) },
	}
	c.Flags().BoolVar(&raw, "raw", false, "add the original JSON from Meta")
	return c
}

// inspectWebhooks goes through all bodies, also when one is no webhook.
func (a *app) inspectWebhooks(files []string, raw bool) error {
	out := json.NewEncoder(a.stdout)
	out.SetEscapeHTML(false)
	var bad error
	for _, file := range files {
		text, err := a.readFile(file)
		if err != nil {
			return err
		}
		for _, body := range bodiesOf(text) {
			where := file
			if body.line > 0 {
				where = fmt.Sprintf("%s:%d", file, body.line)
			}
			found, err := inbound.Parse(body.text)
			if err != nil {
				bad = &exitError{code: a.report(withFile(where, err))}
				continue
			}
			for _, n := range found {
				if err := out.Encode(webhookLine(n, raw)); err != nil {
					return err
				}
			}
		}
	}
	return bad
}

// withFile is a mistake in a body, with where it stands.
func withFile(where string, err error) error {
	if e, ok := errors.AsType[*inbound.Error](err); ok {
		return project.UserError(e.Hint, "%s: %s", where, e.Summary())
	}
	return project.UserError("", "%s: %w", where, err)
}

func webhookLine(n inbound.Notification, raw bool) any {
	if !raw {
		return n
	}
	return struct {
		inbound.Notification
		Raw map[string]any `json:"raw,omitempty"`
	}{n, n.Raw}
}
