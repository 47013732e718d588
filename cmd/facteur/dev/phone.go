package dev

import (
	"bytes"
	"cmp"
	"context"
	"io"
	"maps"
	"net/http"
	"os"
	"regexp"
	"slices"
	"time"

	"facteur/actions/whatsapp/simulator"
	"facteur/cmd/facteur/daemon"
	"facteur/project"
	"facteur/vault"
)

// testToken is the token of every connection for WhatsApp.
const testToken = "test-token"

// openPhone makes the simulator, and points every WhatsApp connection to it.
func (w *Workbench) openPhone() error {
	templates, err := w.project.ReadTemplates()
	if err != nil {
		return err
	}
	w.api, err = simulator.New(simulator.Options{
		Templates: templates, Numbers: w.project.SenderNumbers(), Client: &http.Client{Transport: &webhookRouter{w, http.DefaultTransport}, Timeout: 30 * time.Second},
		Scene: simulator.Scene{App: simulator.App{Secret: testToken}},
	})
	if err != nil {
		return err
	}
	w.closers = append(w.closers, func() { _ = w.api.Close() })
	w.project.Env = w.environment
	return nil
}

// environment looks up the environment: variables of WhatsApp connections hold test tokens and the
// address of the simulator; others are the process's.
func (w *Workbench) environment(key string) (string, bool) {
	for name, number := range w.state.Load().senders {
		for field, value := range map[string]string{
			"APP": string(vault.WhatsApp), "TOKEN": testToken, "APP_SECRET": testToken, "VERIFY_TOKEN": testToken, "BASE_URL": w.phone,
			"SENDER_PHONE_ID": cmp.Or(number, project.ExampleSender), // the vault, which is not asked, may have one
		} {
			if key == vault.Variable(name, field) {
				return value, true
			}
		}
	}
	return os.LookupEnv(key)
}

// subscribeWebhook subscribes to the simulator's webhooks, once there is a WhatsApp connection.
func (w *Workbench) subscribeWebhook(ctx context.Context) {
	names := slices.Sorted(maps.Keys(w.state.Load().senders))
	if w.subscribed || len(names) == 0 {
		return
	}
	err := w.api.Subscribe(ctx, simulator.Webhook{URL: w.page + daemon.WebhookPath(names[0]), VerifyToken: testToken})
	if w.subscribed = err == nil; err != nil && ctx.Err() == nil {
		w.log.Error("webhooks cannot be delivered", "error", err)
	}
}

// A webhookRouter sends webhooks to the path of the connection that their number belongs to: the
// simulator has one callback URL for all.
type webhookRouter struct {
	w    *Workbench
	base http.RoundTripper
}

var phoneNumberID = regexp.MustCompile(`"phone_number_id":"([0-9]+)"`)

// RoundTrip implements http.RoundTripper.
func (s *webhookRouter) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.Method != http.MethodPost {
		return s.base.RoundTrip(req)
	}
	body, err := io.ReadAll(req.Body)
	_ = req.Body.Close()
	if err != nil {
		return nil, err
	}
	onward := req.Clone(req.Context())
	onward.Body = io.NopCloser(bytes.NewReader(body))
	if m := phoneNumberID.FindSubmatch(body); m != nil {
		senders := s.w.state.Load().senders
		for _, name := range slices.Sorted(maps.Keys(senders)) {
			if senders[name] == string(m[1]) {
				onward.URL.Path = daemon.WebhookPath(name)
			}
		}
	}
	return s.base.RoundTrip(onward)
}

// logPhoneEvents logs what happens on the phones, a line for each event, until ctx ends.
func (w *Workbench) logPhoneEvents(ctx context.Context) {
	events, stop := w.api.Watch()
	defer stop()
	for {
		select {
		case <-ctx.Done():
			return
		case e := <-events:
			m := e.Message
			switch {
			case m == nil:
				if e.Kind == "reset" || e.Kind == "clock" {
					w.log.Info("phone: "+e.Kind, "now", w.api.Now().UTC().Format(time.RFC3339))
				}
			case e.Kind == "inbound":
				w.log.Info("message in", "from", "+"+m.Person, "to", m.Number, "type", m.Type)
			case e.Kind == "accepted":
				w.log.Info("message out", "to", m.Input, "from", m.Number, "type", m.Type)
			case e.Kind == "status" && m.Error != nil:
				w.log.Warn("message failed", "to", m.Input, "code", m.Error.Code, "error", m.Error.Title)
			case e.Kind == "status":
				w.log.Info("message "+m.State, "to", m.Input)
			}
		}
	}
}
