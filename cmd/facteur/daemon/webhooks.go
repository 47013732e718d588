package daemon

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"time"

	"facteur/actions/webhook"
	"facteur/actions/whatsapp"
	"facteur/actions/whatsapp/ledger"
	"facteur/flow/host"
	"facteur/project"
	"facteur/server"
	"facteur/vault"

	"golang.org/x/sync/errgroup"
)

// mountWebhooks adds what Meta and others call.
func (d *Daemon) mountWebhooks(mux *http.ServeMux) {
	mux.Handle("/webhooks/whatsapp/{connection}", whatsapp.Webhooks(whatsapp.WebhookOptions{
		Resolve: d.vault.Resolve, Apply: d.applyWebhook, Known: d.knowsNumber, Insecure: d.config.InsecureWebhooks, Log: d.log,
		Answered: func(a whatsapp.WebhookAnswer) {
			if a.Unreadable {
				d.metrics.Webhook("unreadable")
			}
			d.countAnswer("whatsapp", a.Status, a.Took)
		},
	}))
	mux.Handle("/hooks/{path...}", webhook.Handler(webhook.Options{
		Find: d.starter.Hook, Paths: d.starter.Hooks, Resolve: d.proof, Log: d.log, Explain: d.opts.Candid,
		Deliver: func(ctx context.Context, w webhook.Delivery) error {
			d.metrics.Webhook("hook")
			return d.host.Deliver(ctx, host.Event{
				ID: w.ID, Name: webhook.Name, Subjects: []string{w.Path}, Connection: w.Connection, At: w.At, Data: w.Data,
			})
		},
		Answered: func(a webhook.Answer) { d.countAnswer("hooks", a.Status, a.Took) },
	}))
}

// webhookPath is where Meta sends the webhooks of a connection.
func WebhookPath(connection string) string {
	return "/webhooks/whatsapp/" + url.PathEscape(connection)
}

// proof is the connection that a webhook proves itself with.
func (d *Daemon) proof(ctx context.Context, name string) (vault.Connection, error) {
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

// applyWebhook stores what Meta tells, first in the ledger and then with the runs that it
// concerns. What was told before goes to the host again: the daemon may have died between
// the two, and the host drops what it knows.
func (d *Daemon) applyWebhook(ctx context.Context, connection string, told []whatsapp.Notification) error {
	now := time.Now()
	for _, n := range told {
		d.metrics.Webhook(n.Kind)
		if n.PhoneNumberID != "" {
			d.silence.Heard(n.PhoneNumberID, now)
		}
	}
	news, err := d.ledger.Apply(ctx, told...)
	if err != nil {
		return err
	}
	d.tellAccount(connection, news)
	receipts, events := ledger.Deliveries(news, now)
	if len(receipts) > 0 {
		if err := d.host.Receive(ctx, receipts...); err != nil {
			return err
		}
	}
	return deliverAll(events, func(e ledger.Event) error {
		return d.host.Deliver(ctx, host.Event{ID: e.ID, Name: e.Name, Subjects: e.Subjects, Connection: connection, At: e.At, Data: e.Data})
	})
}

// maxDelivering is how many events of one webhook are delivered at the same time: they
// share the syncs of the disk.
const maxDelivering = 64

// deliverAll delivers what different people wrote at the same time, and what one person
// wrote in its order. The error is the first.
func deliverAll(events []ledger.Event, deliver func(ledger.Event) error) error {
	var lines [][]ledger.Event
	of := map[string]int{} // a person's line
	for _, e := range events {
		at := len(lines)
		for _, name := range e.Subjects {
			if line, ok := of[name]; ok {
				at = line
				break
			}
		}
		if at == len(lines) {
			lines = append(lines, nil)
		}
		lines[at] = append(lines[at], e)
		for _, name := range e.Subjects {
			of[name] = at
		}
	}
	var all errgroup.Group
	all.SetLimit(maxDelivering)
	for _, line := range lines {
		all.Go(func() error {
			for _, e := range line {
				if err := deliver(e); err != nil {
					return err
				}
			}
			return nil
		})
	}
	return all.Wait()
}

// A senders is the phone number IDs that a project names.
type senders struct {
	any bool // a flow computes one
	ids map[string]bool
}

var (
	senderKey     = regexp.MustCompile(`sender_phone_id:\s*["']?([^"'\s,}]+)`)
	senderLiteral = regexp.MustCompile(`^[0-9]+$`)
)

// sendersOf collects the numbers that flows, triggers and the project file name.
func sendersOf(f *project.Flows) senders {
	s := senders{ids: map[string]bool{}}
	for _, c := range f.Project.Connections {
		s.ids[c.SenderPhoneID] = true
	}
	for _, p := range f.Plans {
		for _, source := range p.Sources {
			for _, m := range senderKey.FindAllStringSubmatch(string(source.Text), -1) {
				s.ids[m[1]] = true
				s.any = s.any || !senderLiteral.MatchString(m[1])
			}
		}
	}
	return s
}

// knowsNumber tells whether a number is one of the project's: what Meta tells of others is
// of another project under the same account.
func (d *Daemon) knowsNumber(connection, phoneNumberID string) bool {
	s := d.flows.current.Load().senders
	if s.any || s.ids[phoneNumberID] {
		return true
	}
	c, err := d.vault.Resolve(context.Background(), connection)
	return err != nil || c.Get("sender_phone_id") == "" || c.Get("sender_phone_id") == phoneNumberID
}

// sender returns the number that a connection sends from, "" when that is not known.
func (d *Daemon) sender(ctx context.Context, connection string) string {
	c, err := d.vault.Resolve(ctx, connection)
	if err != nil {
		return ""
	}
	return c.Get("sender_phone_id")
}

// aliases returns all names of who an event is of.
func (d *Daemon) aliases(ctx context.Context, kind, subject string) ([]string, error) {
	if kind != "whatsapp.message" {
		return []string{subject}, nil
	}
	return d.ledger.Contact(ctx, subject)
}

// connections lists the project's connections, without their secrets.
func (d *Daemon) connections(ctx context.Context) ([]server.Connection, error) {
	infos, err := d.vault.List(ctx)
	if err != nil {
		return nil, err
	}
	out := make([]server.Connection, 0, len(infos))
	for _, i := range infos {
		c := server.Connection{
			Name: i.Name, App: string(i.App), Backend: i.Backend, Ready: i.Ready, Missing: i.Missing, Hint: i.Hint,
			CreatedAt: i.CreatedAt, UpdatedAt: i.UpdatedAt, RefreshedAt: i.RefreshedAt,
		}
		if i.Err != nil {
			c.Problem, _ = project.Explain(i.Err)
		}
		out = append(out, c)
	}
	return out, nil
}

// inspect asks Meta how the connections are, and logs what will go wrong: a token that
// ends, a number that people report.
func (d *Daemon) inspect(ctx context.Context) {
	for _, name := range d.flows.connections() {
		c, err := d.vault.Resolve(ctx, name)
		if err != nil || c.App != vault.WhatsApp {
			continue
		}
		for _, f := range whatsapp.CheckConnection(ctx, nil, c) {
			if ctx.Err() != nil {
				return
			}
			if f.Name == "quality" {
				d.metrics.Quality(c.Get("sender_phone_id"), f.Detail)
			}
			if f.Level != whatsapp.OK && f.Detail != "not checked" {
				d.log.Warn("connection", "connection", name, "check", f.Name, "detail", f.Detail, "cause", f.Cause, "hint", f.Cure)
			}
		}
	}
}
