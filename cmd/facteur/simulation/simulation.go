// Package simulation connects one run to a simulator of the Cloud API in this process. Both share a
// virtual clock; the simulator's webhooks reach the run by the same code as in a daemon, and nothing
// goes over a network.
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

// A Simulation is a simulator, the options of the actions that use it, and the receiver of its
// webhooks.
type Simulation struct {
	*simulator.Simulator
	Known whatsapp.Options // of the actions: a ledger, and a client for the simulator
	Host  Host             // of the run; set before it starts

	clock  *host.Virtual
	ledger *ledger.Memory
	fixed  map[string]vault.Connection

	mu      sync.Mutex
	senders map[string]string // the connection that a number last sent through
}

// A Host gets the events and receipts of webhooks.
type Host interface {
	Deliver(ctx context.Context, e host.Event) error
	Receive(receipts ...call.Receipt)
}

// Options of a Simulation.
type Options struct {
	Clock     *host.Virtual
	Templates []*templates.Definition
	Seed      uint64 // of the simulator's ids; 0: a random one

	// Connections are those of the run. New changes those that Sends sends through: they point
	// to the simulator.
	Connections map[string]vault.Connection
	Sends       *plan.Plan
}

const (
	webhookURL = "http://facteur.invalid" // where the simulator sends webhooks: a name that nobody has
	secret     = "test-token"             // of the connections and of the simulated app
)

// New makes a simulation for one run.
func New(o Options) (*Simulation, error) {
	s := &Simulation{
		clock: o.Clock, ledger: &ledger.Memory{Options: ledger.Options{Now: o.Clock.Now}}, senders: map[string]string{}, fixed: o.Connections,
	}
	for _, name := range project.SenderConnections(o.Sends) {
		if c := o.Connections[name]; c.App == vault.WhatsApp {
			useSimulator(c)
		}
	}
	mux := http.NewServeMux()
	mux.Handle("/webhooks/whatsapp/{connection}", inbound.Handler(inbound.Options{Resolve: s.resolve, Apply: s.apply}))
	scene := simulator.Scene{App: simulator.App{Secret: secret}}
	for _, name := range slices.Sorted(maps.Keys(o.Connections)) {
		if c := o.Connections[name]; c.App == vault.WhatsApp {
			scene.Webhook = simulator.Webhook{URL: webhookURL + daemon.WebhookPath(name), VerifyToken: secret}
			s.senders[c.Get("sender_phone_id")] = name
		}
	}
	var err error
	s.Simulator, err = simulator.New(simulator.Options{
		Scene: scene, Templates: o.Templates, Seed: o.Seed, Clock: simulatorClock{s}, Pause: o.Clock.Sleep, Client: &http.Client{Transport: handlerTransport{mux}},
	})
	if err != nil {
		return nil, err
	}
	s.Known = ledger.Wire(s.ledger, whatsapp.Options{Client: &http.Client{Transport: handlerTransport{s.Simulator}}}, func(r call.Receipt) { s.Host.Receive(r) })
	return s, nil
}

// useSimulator points a connection to the simulator, which signs webhooks with secret.
func useSimulator(c vault.Connection) {
	delete(c.Setup, "base_url")
	if c.Get("sender_phone_id") == "" {
		c.Setup["sender_phone_id"] = project.ExampleSender // the vault, which is not asked, may have one
	}
	c.Secrets["app_secret"], c.Secrets["verify_token"] = vault.NewSecret(secret), vault.NewSecret(secret)
}

// A simulatorClock is the virtual clock for the simulator: time does not go on before the webhooks
// that are due have reached the run.
type simulatorClock struct{ s *Simulation }

// Now implements simulator.Clock.
func (t simulatorClock) Now() time.Time { return t.s.clock.Now() }

// AfterFunc implements simulator.Clock.
func (t simulatorClock) AfterFunc(d time.Duration, f func()) func() bool {
	return t.s.clock.AfterFunc(d, func() {
		f()
		_ = t.s.Idle(context.Background()) // it returns, because no webhook in this process waits for time
	})
}

// resolve returns the connection of a webhook.
func (s *Simulation) resolve(_ context.Context, name string) (vault.Connection, error) {
	c, ok := s.fixed[name]
	if !ok {
		return c, &vault.UnknownConnectionError{Name: name}
	}
	return c, nil
}

// apply hands the notifications of a webhook to the run.
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

// realCallTimeout bounds a call that is not simulated: virtual time stands still meanwhile, and with
// it the time-out of its step.
const realCallTimeout = time.Minute

// Wrap makes calls, and records which number sends through which connection.
func (s *Simulation) Wrap(do call.Do) call.Do {
	return func(ctx context.Context, c call.Call) call.Outcome {
		if s.fixed[c.Connection].App != vault.WhatsApp {
			ctx, end := context.WithTimeout(ctx, realCallTimeout)
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

// drain lets pending webhooks arrive before the messages are read.
func (s *Simulation) drain() {
	s.Advance(2 * time.Second)
	_ = s.Idle(context.Background()) // as in AfterFunc
}
