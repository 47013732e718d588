package simulator

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"sync"
	"time"

	"facteur/actions"
	"facteur/actions/whatsapp/simulator/livepage"
	"facteur/actions/whatsapp/templates"
)

// Options of a simulator. The zero value is an open world on the system's clock, without webhooks.
type Options struct {
	Scene     Scene
	Templates []*templates.Definition // that every account has, beside its own
	// Numbers are the phone number IDs of an open world that people can write to before
	// anything was sent from them. Others come to be as they are used.
	Numbers []string
	Clock   Clock        // nil: System
	Client  *http.Client // carries webhooks; nil: one of its own
	// Pause lets time pass before an answer that is late; it returns early, with the
	// error of ctx, when the request has ended. nil: the clock does. It is for requests
	// that are handed to ServeHTTP by who moves a virtual clock.
	Pause func(ctx context.Context, d time.Duration) error
	Keep  int    // messages that are remembered, 0: 10,000; none holds more than 64 MB
	Keys  int    // callback keys that are counted, 0: 100,000
	Seed  uint64 // of ids and odds; 0: another one each time
}

// A Simulator stands in for the Cloud API. It is safe for concurrent use.
type Simulator struct {
	options    Options
	scheduler  *scheduler
	dispatcher *dispatcher
	control    http.Handler
	magics     map[string]*Magic
	feed       livepage.Feed[Event]
	closed     chan struct{}
	close      func()

	mu     sync.Mutex
	random *rand.Rand
	world  world
	log    messageLog
	faults []*Fault
	scene  chan struct{} // closed when it begins anew
}

// New returns a simulator of a scene. Close it when it is not needed any more.
func New(o Options) (*Simulator, error) {
	if err := o.Scene.check(); err != nil {
		return nil, fmt.Errorf("invalid scene: %w", err)
	}
	if o.Clock == nil {
		o.Clock = System{}
	}
	if o.Client == nil {
		o.Client = &http.Client{Transport: actions.Transport(), Timeout: 30 * time.Second, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	}
	if o.Keep <= 0 {
		o.Keep = 10_000
	}
	if o.Keys <= 0 {
		o.Keys = 100_000
	}
	if o.Seed == 0 {
		o.Seed = rand.Uint64()
	}
	s := &Simulator{options: o, scheduler: &scheduler{clock: o.Clock}, magics: magics(), closed: make(chan struct{})}
	s.close = sync.OnceFunc(func() { close(s.closed) })
	s.dispatcher = newDispatcher(s)
	s.control = s.controlHandler()
	if err := s.Reset(); err != nil {
		return nil, err
	}
	return s, nil
}

// Reset restores the scene: messages, windows, uploads, changes and counts are gone. The time stays.
func (s *Simulator) Reset() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	w, err := newWorld(s.options, s.Now())
	if err != nil {
		return err
	}
	s.scheduler.clear()
	s.dispatcher.clear()
	if s.scene != nil {
		close(s.scene)
	}
	s.scene = make(chan struct{})
	s.random = rand.New(rand.NewPCG(s.options.Seed, 0x5eed))
	s.world = w
	s.log = newLog(s.options.Keep, s.options.Keys)
	s.faults = nil
	for _, f := range s.options.Scene.Faults {
		s.faults = append(s.faults, &f)
	}
	s.publish("reset", nil)
	return nil
}

// schedule runs do at a time with the simulator locked, unless it is reset before.
func (s *Simulator) schedule(at time.Time, do func(at time.Time)) {
	scene := s.scene
	s.scheduler.schedule(at, func(at time.Time) {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.scene == scene {
			do(at)
		}
	})
}

// Close drops pending tasks and webhooks, and ends requests that hang.
func (s *Simulator) Close() error {
	s.close()
	s.scheduler.close()
	s.dispatcher.stop()
	return nil
}

// Now is the time of the simulator.
func (s *Simulator) Now() time.Time { return s.scheduler.now() }

// Advance moves the time. Tasks that become due have run, in order, when it returns; their webhooks
// are queued: see Idle.
func (s *Simulator) Advance(d time.Duration) {
	if d >= 0 {
		s.scheduler.advance(d)
		s.publish("clock", nil)
	}
}

// An Event is something that happened, for subscribers of Watch.
type Event struct {
	Kind    string // accepted, status, inbound, read, typing, clock, reset
	At      time.Time
	Message *Message // nil for clock and reset
}

// Watch subscribes to events. A slow subscriber misses some. stop ends the subscription, and closes
// the channel.
func (s *Simulator) Watch() (events <-chan Event, stop func()) { return s.feed.Watch() }

// publish tells the subscribers of Watch of an event. The simulator is locked, unless m is nil.
func (s *Simulator) publish(kind string, m *message) {
	if !s.feed.Watched() {
		return
	}
	e := Event{Kind: kind, At: s.Now()}
	if m != nil {
		copied := m.snapshot()
		e.Message = &copied
	}
	s.feed.Publish(e)
}
