// Package simulation is a simulator of the Cloud API that one run meets in this process, in place
// of the API. Both live by one virtual clock; what the simulator tells by webhook reaches the run
// on the way that it takes in a daemon, and nothing goes over a network.
package simulation

import (
	"context"
	"maps"
	"net/http"
	"slices"
	"sync"
	"time"

	"facteur/actions/whatsapp"
	"facteur/actions/whatsapp/inbound"
	"facteur/actions/whatsapp/ledger"
	"facteur/actions/whatsapp/simulator"
	"facteur/actions/whatsapp/templates"
	"facteur/cmd/facteur/daemon"
	"facteur/flow/call"
	"facteur/flow/host"
	"facteur/flow/plan"
	"facteur/project"
	"facteur/vault"
)

// A Simulation is a simulator, what actions know of it, and the run's ear for webhooks.
type Simulation struct {
	*simulator.Simulator
	Known whatsapp.Options // what actions know, and their way to the simulator
	Host  Hearer           // of the run; set before it starts

	clock  *host.Virtual
	ledger *ledger.Memory
	fixed  map[string]vault.Connection

	mu      sync.Mutex
	senders map[string]string // the connection that a number last sent through
}

// A Hearer is who is told what comes by webhook.
type Hearer interface {
	Deliver(ctx context.Context, e host.Event) error
	Receive(receipts ...call.Receipt)
}

// Options are what simulations differ in.
type Options struct {
	Clock     *host.Virtual
	Templates []*templates.Definition
	Seed      uint64 // 0: another each time

	// Connections are those of the run. Those that Sends sends through lead to the simulator
	// from then on: New changes them.
	Connections map[string]vault.Connection
	Sends       *plan.Plan
}

const (
	hookHost = "http://facteur.invalid" // where the simulator sends webhooks: a name that nobody has
	secret   = "test-token"             // by which it and the run know each other
)

// New makes a simulation, for one run.
func New(o Options) (*Simulation, error) {
	s := &Simulation{
		clock: o.Clock, ledger: &ledger.Memory{Options: ledger.Options{Now: o.Clock.Now}}, senders: map[string]string{}, fixed: o.Connections,
	}
	for _, name := range project.SendsThrough(o.Sends) {
		if c := o.Connections[name]; c.App == vault.WhatsApp {
			divert(c)
		}
	}
	mux := http.NewServeMux()
	mux.Handle("/webhooks/whatsapp/{connection}", inbound.Handler(inbound.Options{Resolve: s.resolve, Apply: s.apply}))
	scene := simulator.Scene{App: simulator.App{Secret: secret}}
	for _, name := range slices.Sorted(maps.Keys(o.Connections)) {
		if c := o.Connections[name]; c.App == vault.WhatsApp {
			scene.Webhook = simulator.Webhook{URL: hookHost + daemon.WebhookPath(name), VerifyToken: secret}
			s.senders[c.Get("sender_phone_id")] = name
		}
	}
	var err error
	s.Simulator, err = simulator.New(simulator.Options{
		Scene: scene, Templates: o.Templates, Seed: o.Seed, Clock: ticking{s}, Pause: o.Clock.Sleep, Client: &http.Client{Transport: inside{mux}},
	})
	if err != nil {
		return nil, err
	}
	s.Known = ledger.Wire(s.ledger, whatsapp.Options{Client: &http.Client{Transport: inside{s.Simulator}}}, func(r call.Receipt) { s.Host.Receive(r) })
	return s, nil
}

// divert leads a connection to the simulator, which signs with its secrets.
func divert(c vault.Connection) {
	delete(c.Setup, "base_url")
	if c.Get("sender_phone_id") == "" {
		c.Setup["sender_phone_id"] = project.ExampleSender // the vault, which is not asked, may have one
	}
	c.Secrets["app_secret"], c.Secrets["verify_token"] = vault.NewSecret(secret), vault.NewSecret(secret)
}

// ticking is the clock of a simulation: what is due on it has reached the run before time
// goes on.
type ticking struct{ s *Simulation }

// Now implements simulator.Clock.
func (t ticking) Now() time.Time { return t.s.clock.Now() }

// AfterFunc implements simulator.Clock.
func (t ticking) AfterFunc(d time.Duration, f func()) func() bool {
	return t.s.clock.AfterFunc(d, func() {
		f()
		_ = t.s.Idle(context.Background()) // it ends: nothing in this process waits for time
	})
}

// resolve gives the connections that webhooks come through.
func (s *Simulation) resolve(_ context.Context, name string) (vault.Connection, error) {
	c, ok := s.fixed[name]
	if !ok {
		return c, &vault.UnknownConnectionError{Name: name}
	}
	return c, nil
}

// apply brings what a webhook tells to the run.
func (s *Simulation) apply(ctx context.Context, _ string, told []inbound.Notification) error {
	news, err := s.ledger.Apply(ctx, told...)
	if err != nil {
		return err
	}
	receipts, events := ledger.Deliveries(news, s.clock.Now())
	s.Host.Receive(receipts...)
	for _, e := range events {
		sender, _ := e.Data["sender_phone_id"].(string)
		s.mu.Lock()
		connection := s.senders[sender]
		s.mu.Unlock()
		if err := s.Host.Deliver(ctx, host.Event{ID: e.ID, Name: e.Name, Subjects: e.Subjects, Connection: connection, At: e.At, Data: e.Data}); err != nil {
			return err
		}
	}
	return nil
}

// mostReal is how long a call that is not simulated may take: virtual time stands still
// meanwhile, and with it the time-out of its step.
const mostReal = time.Minute

// Does makes calls, and notes which number sends through which connection.
func (s *Simulation) Does(do call.Do) call.Do {
	return func(ctx context.Context, c call.Call) call.Outcome {
		if s.fixed[c.Connection].App != vault.WhatsApp {
			ctx, end := context.WithTimeout(ctx, mostReal)
			defer end()
			return do(ctx, c)
		}
		if sender, ok := c.Input["sender_phone_id"].(string); ok {
			s.mu.Lock()
			s.senders[sender] = c.Connection
			s.mu.Unlock()
		}
		return do(ctx, c)
	}
}

// settle lets what is still on its way arrive, for who looks at the messages.
func (s *Simulation) settle() {
	s.Advance(2 * time.Second)
	_ = s.Idle(context.Background()) // as in AfterFunc
}
