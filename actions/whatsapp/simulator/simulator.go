package simulator

import (
	"context"
	crand "crypto/rand"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net/http"
	"sync"
	"time"

	"facteur/actions"
	"facteur/actions/whatsapp/templates"
)

// Options is what a simulator begins with. The zero value is an open world on the
// machine's clock, without webhooks.
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
	options Options
	time    *timeline
	hooks   *hooks
	control http.Handler
	magics  map[string]*Magic
	closed  chan struct{}
	close   func()

	mu     sync.Mutex
	random *rand.Rand
	world  world
	log    messageLog
	faults []*Fault
	watch  map[chan Event]bool
	scenes int           // how often the scene began
	began  chan struct{} // closed when it begins anew
}

// New returns a simulator of a scene. Close it when it is not needed any more.
func New(o Options) (*Simulator, error) {
	if err := o.Scene.check(); err != nil {
		return nil, fmt.Errorf("the scene cannot be set: %w", err)
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
		var b [8]byte
		_, _ = crand.Read(b[:])
		o.Seed = binary.LittleEndian.Uint64(b[:])
	}
	s := &Simulator{options: o, time: &timeline{clock: o.Clock}, magics: magics(), closed: make(chan struct{}), watch: map[chan Event]bool{}}
	s.close = sync.OnceFunc(func() { close(s.closed) })
	s.hooks = newHooks(s)
	s.control = s.controls()
	if err := s.Reset(); err != nil {
		return nil, err
	}
	return s, nil
}

// Reset begins the scene anew: messages, windows, uploads, changes and counts are gone.
// The time stays.
func (s *Simulator) Reset() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	w, err := newWorld(s.options, s.Now())
	if err != nil {
		return err
	}
	s.time.clear()
	s.hooks.clear()
	s.scenes++
	if s.began != nil {
		close(s.began)
	}
	s.began = make(chan struct{})
	s.random = rand.New(rand.NewPCG(s.options.Seed, 0x5eed))
	s.world = w
	s.log = newLog(s.options.Keep, s.options.Keys)
	s.faults = nil
	for _, f := range s.options.Scene.Faults {
		s.faults = append(s.faults, &f)
	}
	s.tell(Event{Kind: "reset"})
	return nil
}

// later lets something happen to the scene, unless it begins anew before. The simulator is
// locked then.
func (s *Simulator) later(at time.Time, do func(at time.Time)) {
	scene := s.scenes
	s.time.at(at, func(at time.Time) {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.scenes == scene {
			do(at)
		}
	})
}

// Close ends what is under way. Requests that hang are let go.
func (s *Simulator) Close() error {
	s.close()
	s.time.close()
	s.hooks.stop()
	return nil
}

// Now is the time of the simulator.
func (s *Simulator) Now() time.Time { return s.time.now() }

// Advance moves the time. What is due on the way happens, in its order, before Advance
// returns; webhooks are then on their way: see Idle.
func (s *Simulator) Advance(d time.Duration) {
	if d >= 0 {
		s.time.advance(d)
		s.mu.Lock()
		s.tell(Event{Kind: "clock"})
		s.mu.Unlock()
	}
}

// An Event is something that happened, for whoever watches.
type Event struct {
	Kind    string    `json:"kind"` // accepted, refused, status, inbound, read, typing, clock, reset, webhook
	At      time.Time `json:"at,omitzero"`
	Message *Message  `json:"message,omitempty"`
	Note    string    `json:"note,omitempty"`
}

// Watch returns what happens from now on. Who does not keep up misses events. stop ends
// it, and closes the channel.
func (s *Simulator) Watch() (events <-chan Event, stop func()) {
	c := make(chan Event, 256)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.watch[c] = true
	return c, sync.OnceFunc(func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.watch, c)
		close(c)
	})
}

// tellOf tells those who watch of a message. The simulator is locked.
func (s *Simulator) tellOf(m *message, kind, note string) {
	if len(s.watch) > 0 {
		copied := m.snapshot()
		s.tell(Event{Kind: kind, Message: &copied, Note: note})
	}
}

// tell tells those who watch. The simulator is locked.
func (s *Simulator) tell(e Event) {
	e.At = s.Now()
	for c := range s.watch {
		select {
		case c <- e:
		default:
		}
	}
}
