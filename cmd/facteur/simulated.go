package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

	"facteur/actions/whatsapp"
	"facteur/actions/whatsapp/ledger"
	"facteur/actions/whatsapp/simulator"
	"facteur/cmd/facteur/bubble"
	"facteur/cmd/facteur/daemon"
	"facteur/flow/call"
	"facteur/flow/host"
	"facteur/flow/plan"
	"facteur/flow/record"
	"facteur/project"
	"facteur/vault"
)

// A simulation is a simulator in this process that one run meets in place of the Cloud
// API. Both live by one virtual clock, and what the simulator tells by webhook reaches
// the run on the way that it takes in a daemon.
type simulation struct {
	*simulator.Simulator
	clock  *host.Virtual
	ledger *ledger.Memory
	known  whatsapp.Options // what actions know, and their way to the simulator
	fixed  map[string]vault.Connection
	host   hearer // set before the run starts

	mu      sync.Mutex
	senders map[string]string // the connection that a number last sent through
}

// A hearer is who is told what comes by webhook.
type hearer interface {
	Deliver(ctx context.Context, e host.Event) error
	Receive(receipts ...call.Receipt)
}

// simulationOptions are what simulations differ in.
type simulationOptions struct {
	clock       *host.Virtual
	scene       simulator.Scene
	templates   []*whatsapp.TemplateDefinition
	connections map[string]vault.Connection // those of the run, none real where it is for WhatsApp
	seed        uint64
}

// hookHost is where the simulator sends webhooks: a name that nobody has.
const hookHost = "http://facteur.invalid"

func newSimulation(o simulationOptions) (*simulation, error) {
	s := &simulation{
		clock: o.clock, ledger: &ledger.Memory{Options: ledger.Options{Now: o.clock.Now}}, senders: map[string]string{}, fixed: o.connections,
	}
	mux := http.NewServeMux()
	mux.Handle("/webhooks/whatsapp/{connection}", whatsapp.Webhooks(whatsapp.WebhookOptions{Resolve: s.resolve, Apply: s.apply}))
	for _, name := range sortedNames(o.connections) {
		if c := o.connections[name]; c.App == vault.WhatsApp {
			o.scene.Webhook = simulator.Webhook{URL: hookHost + daemon.WebhookPath(name), VerifyToken: testToken}
			s.senders[c.Get("sender_phone_id")] = name
		}
	}
	o.scene.App.Secret = testToken
	var err error
	s.Simulator, err = simulator.New(simulator.Options{
		Scene: o.scene, Templates: o.templates, Seed: o.seed, Clock: ticking{s}, Pause: o.clock.Sleep, Client: &http.Client{Transport: inside{mux}},
	})
	if err != nil {
		return nil, err
	}
	s.known = ledger.Wire(s.ledger, whatsapp.Options{Client: &http.Client{Transport: inside{s.Simulator}}}, func(r call.Receipt) { s.host.Receive(r) })
	return s, nil
}

// ticking is the clock of a simulation: what is due on it has reached the run before time
// goes on.
type ticking struct{ s *simulation }

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
func (s *simulation) resolve(_ context.Context, name string) (vault.Connection, error) {
	c, ok := s.fixed[name]
	if !ok {
		return c, &vault.UnknownConnectionError{Name: name}
	}
	return c, nil
}

// apply brings what a webhook tells to the run.
func (s *simulation) apply(ctx context.Context, _ string, told []whatsapp.Notification) error {
	news, err := s.ledger.Apply(ctx, told...)
	if err != nil {
		return err
	}
	receipts, events := ledger.Deliveries(news, s.clock.Now())
	s.host.Receive(receipts...)
	for _, e := range events {
		sender, _ := e.Data["sender_phone_id"].(string)
		s.mu.Lock()
		connection := s.senders[sender]
		s.mu.Unlock()
		if err := s.host.Deliver(ctx, host.Event{ID: e.ID, Name: e.Name, Subjects: e.Subjects, Connection: connection, At: e.At, Data: e.Data}); err != nil {
			return err
		}
	}
	return nil
}

// mostReal is how long a call that is not simulated may take: virtual time stands still
// meanwhile, and with it the time-out of its step.
const mostReal = time.Minute

// does notes which number sends through which connection.
func (s *simulation) does(do call.Do) call.Do {
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
func (s *simulation) settle() {
	s.Advance(2 * time.Second)
	_ = s.Idle(context.Background()) // as in AfterFunc
}

// simulatedConnections makes connections with a test token in place of those that a flow
// sends messages through; none of them leads to the network. Others stay what they are.
func simulatedConnections(p *project.Project, sends *plan.Plan, given map[string]map[string]string) (map[string]vault.Connection, error) {
	made, err := p.TestConnections(sends, project.SendsThrough(sends), given, testToken)
	for _, c := range made {
		delete(c.Setup, "base_url")
		if c.Get("sender_phone_id") == "" {
			c.Setup["sender_phone_id"] = project.ExampleSender // the vault, which is not asked, may have one
		}
	}
	return made, err
}

// simulate puts a simulator in the place of the Cloud API, and a virtual clock in that of
// the machine's. It returns the connections to it.
func (w *world) simulate(p *project.Project, sends *plan.Plan) (map[string]vault.Connection, error) {
	fixed, err := simulatedConnections(p, sends, nil)
	if err != nil {
		return nil, err
	}
	templates, err := p.ReadTemplates()
	if err != nil {
		return nil, err
	}
	clock := host.NewVirtual(time.Now())
	w.clock, w.virtual = clock, true
	w.simulation, err = newSimulation(simulationOptions{clock: clock, templates: templates, connections: fixed})
	if err != nil {
		return nil, err
	}
	w.closers = append(w.closers, func() { _ = w.simulation.Close() })
	return fixed, nil
}

// A sentJSON is a message as --json prints it: as the simulator knows it, with the text
// that the phone shows and the status code that its request was answered with.
type sentJSON struct {
	simulator.Message
	StatusCode *int64 `json:"status_code,omitempty"` // missing for one that came in
	Text       string `json:"text,omitempty"`
}

// messages gives those of the run, in both directions, without sensitive values.
func (s *simulation) messages(r *host.Result) []sentJSON {
	s.settle()
	statuses := map[string]int64{}
	for _, step := range r.Steps {
		if repeats, _ := step.Outputs["repeats"].(string); repeats != "" {
			continue // it sent nothing: the message is another step's
		}
		id, _ := step.Outputs["message_id"].(string)
		if code, ok := step.Outputs["status_code"].(int64); ok && id != "" {
			statuses[id] = code
		}
	}
	mask := record.NewMask(r.Sensitive)
	out := []sentJSON{}
	for _, m := range s.Messages(simulator.Filter{}) {
		m.Body, m.Person, m.Input = mask.JSON(m.Body), mask.Text(m.Person), mask.Text(m.Input)
		b := m.Bubble()
		one := sentJSON{Message: m, Text: strings.Trim(strings.Join([]string{b.Header, b.Text, b.Footer}, "\n"), "\n")}
		if !m.Inbound {
			code, known := statuses[m.ID]
			if !known && m.Answer == "" {
				code = http.StatusOK
			}
			one.StatusCode = &code
		}
		out = append(out, one)
	}
	return out
}

// mostDrawn is how many messages are drawn for people; there may be thousands.
const mostDrawn = 10

// print draws the messages of the run.
func (s *simulation) print(w io.Writer, on bubble.Sketch, r *host.Result) {
	all := s.messages(r)
	for i, m := range all {
		if i == mostDrawn {
			fmt.Fprintf(w, "  … and %s more; --json prints all\n\n", count(len(all)-i, "message"))
			return
		}
		var status int64
		if m.StatusCode != nil {
			status = *m.StatusCode
		}
		on.Draw(w, m.Message, status)
		fmt.Fprintln(w)
	}
}
