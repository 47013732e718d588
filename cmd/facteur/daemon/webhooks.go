package daemon

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"facteur/actions/webhook"
	"facteur/actions/whatsapp/inbound"
	"facteur/actions/whatsapp/ledger"
	"facteur/flow/call"
	"facteur/flow/host"
	"facteur/vault"
)

// WebhookPath is the path of Meta's webhooks for a connection.
func WebhookPath(connection string) string {
	return "/webhooks/whatsapp/" + url.PathEscape(connection)
}

// mountWebhooks adds the endpoints for webhooks: Meta's, and those of triggers.
func (d *Daemon) mountWebhooks(mux *http.ServeMux) {
	mux.Handle("/webhooks/whatsapp/{connection}", inbound.Handler(inbound.Options{
		Resolve: d.vault.Resolve, Apply: d.applyWebhook, Known: d.knowsNumber, Insecure: d.config.InsecureWebhooks, Log: d.log,
		Answered: func(a inbound.Answer) {
			if a.Unreadable {
				d.metrics.Webhook("unreadable")
			}
			d.countAnswer("whatsapp", a.Status, a.Took)
		},
	}))
	mux.Handle("/hooks/{path...}", webhook.Handler(webhook.Options{
		Find: d.starter.WebhookSenders, Paths: d.starter.WebhookPaths, Resolve: d.resolveWebhook, Log: d.log, Explain: d.opts.Development,
		Deliver: func(ctx context.Context, w webhook.Delivery) error {
			d.metrics.Webhook("hook")
			return d.host.Deliver(ctx, host.Event{
				ID: w.ID, Name: webhook.Name, Subjects: []string{w.Path}, Connection: w.Connection, At: w.At, Data: w.Data,
			})
		},
		Answered: func(status int, took time.Duration) { d.countAnswer("hooks", status, took) },
	}))
}

// resolveWebhook resolves the connection that a trigger's webhooks are verified with.
func (d *Daemon) resolveWebhook(ctx context.Context, name string) (vault.Connection, error) {
	c, err := d.vault.Resolve(ctx, name)
	if _, unknown := errors.AsType[*vault.UnknownConnectionError](err); unknown {
		err = fmt.Errorf("there is no connection %q: store its secret with \"facteur vault set %s --app %s\", or set %s=%s and %s", name,
			name, vault.Webhook, vault.Variable(name, "APP"), vault.Webhook, vault.Variable(name, "SECRET"))
	}
	return c, err
}

func (d *Daemon) countAnswer(door string, status int, took time.Duration) {
	if status >= http.StatusBadRequest {
		d.metrics.Webhook("refused")
		return
	}
	d.metrics.WebhookAnswered(door, took)
}

// applyWebhook stores notifications, first in the ledger and then with the runs that they concern.
// Known ones go to the host again: the daemon may have died between the two, and the host drops
// duplicates.
func (d *Daemon) applyWebhook(ctx context.Context, connection string, told []inbound.Notification) error {
	now := time.Now()
	for _, n := range told {
		d.metrics.Webhook(n.Kind)
		if n.PhoneNumberID != "" {
			d.silence.WebhookReceived(n.PhoneNumberID, now)
		}
	}
	news, err := d.ledger.Apply(ctx, told...)
	if err != nil {
		return err
	}
	d.logAccountChanges(connection, news)
	d.logDuplicates(news)
	receipts, events := ledger.Deliveries(news, now)
	if len(receipts) > 0 {
		if err := d.host.Receive(ctx, receipts...); err != nil {
			return err
		}
	}
	if len(events) == 0 {
		return nil
	}
	arrived := make([]host.Event, len(events))
	for i, e := range events {
		arrived[i] = host.Event{ID: e.ID, Name: e.Name, Subjects: e.Subjects, Connection: connection, At: e.At, Data: e.Data}
	}
	return d.host.Deliver(ctx, arrived...)
}

// knowsNumber reports whether a number is one of the project's: webhooks of others belong to other
// projects under the same account.
func (d *Daemon) knowsNumber(connection, phoneNumberID string) bool {
	if d.flows.senders.has(phoneNumberID) {
		return true
	}
	c, err := d.vault.Resolve(context.Background(), connection)
	return err != nil || c.Get("sender_phone_id") == "" || c.Get("sender_phone_id") == phoneNumberID
}

// maxDetails bounds the details of a change in the log, in bytes.
const maxDetails = 1000

// logAccountChanges logs notifications about the account, its numbers and its templates, which no
// run waits for, and triggers a check of the accounts.
func (d *Daemon) logAccountChanges(connection string, news []ledger.Update) {
	for _, n := range news {
		if n.Known || !isAboutAccount(n.Kind) {
			continue
		}
		attrs := []any{"connection", connection, "about", n.Kind}
		if n.Status != "" {
			attrs = append(attrs, "status", n.Status)
		}
		if details, err := json.Marshal(n.Details); err == nil && len(n.Details) > 0 {
			attrs = append(attrs, "details", strings.ToValidUTF8(string(details[:min(len(details), maxDetails)]), ""))
		}
		level := slog.LevelWarn
		if isGoodNews(n.Status) {
			level = slog.LevelInfo
		}
		d.log.Log(context.Background(), level, "Meta reports a change", attrs...)
		select {
		case d.accountChanged <- struct{}{}:
		default:
		}
	}
}

// logDuplicates warns of messages that were sent after all, although another send had taken their
// `once` key meanwhile: nothing can be done, but people should know.
func (d *Daemon) logDuplicates(news []ledger.Update) {
	for _, n := range news {
		if n.Duplicate != "" {
			d.log.Warn("a message was sent after all, but meanwhile another send used its `once` key: it may have arrived twice",
				"message", n.MessageID, "run", call.RunOf(n.Call()), "then", call.RunOf(n.Duplicate))
		}
	}
}

// isAboutAccount reports whether a kind of notification is about the account: such changes may stop
// messages from going out, and operators need to know.
func isAboutAccount(kind string) bool {
	return slices.ContainsFunc([]string{"account_", "business_", "message_template_", "template_", "phone_number_", "security"},
		func(prefix string) bool { return strings.HasPrefix(kind, prefix) })
}

// isGoodNews reports whether a change lets messages go out, or needs no action.
func isGoodNews(status string) bool {
	return slices.Contains([]string{
		"APPROVED", "REINSTATED", "UNARCHIVED", "GREEN", // a template, a name, the account
		"UPGRADE", "UNFLAGGED", "ONBOARDING", "THROUGHPUT_UPGRADE", // a number
		"ACCOUNT_RECONNECTED", "VERIFIED_ACCOUNT", "PARTNER_ADDED", "PARTNER_APP_INSTALLED", "AD_ACCOUNT_LINKED",
		"MM_LITE_TERMS_SIGNED", "VOLUME_BASED_PRICING_TIER_UPDATE",
	}, strings.ToUpper(status))
}
