// Package child is how a benchmark and the processes that it measures talk: the parent
// starts a process with Start and orders loads, the process obeys with Serve. What a process
// costs is then its own.
package child

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"time"
)

// A Setup is what a process needs to begin.
type Setup struct {
	As       string   `json:"as"`       // what it is to be
	API      string   `json:"api"`      // where messages are sent to: http://127.0.0.1:…
	Daemon   string   `json:"daemon"`   // where runs are started
	Temporal string   `json:"temporal"` // the server: host:port
	Postgres string   `json:"postgres"` // the database of the ledger; "": a file
	Dir      string   `json:"dir"`      // a folder of its own
	Senders  []string `json:"senders"`  // phone number IDs
	Prefix   int      `json:"prefix"`   // a digit that tells its recipients from those of others
}

// An Order is a load: so many at once, for so long. Those that are under way then are
// carried to their end. The zero Order asks how the process is.
type Order struct {
	At  int           `json:"at"`
	For time.Duration `json:"for"`
}

// An Answer tells what became of an order.
type Answer struct {
	Load
	Failed  string        `json:"failed,omitempty"`
	Address string        `json:"address,omitempty"` // of a server, once it is ready
	CPU     time.Duration `json:"cpu,omitempty"`     // of servers that the process has started
	Memory  int64         `json:"memory,omitempty"`  // of them, in bytes
	Facts   []string      `json:"facts,omitempty"`   // for who reads the results
	Sizes   Sizes         `json:"sizes,omitzero"`
}

// Sizes are what a subject, or a server, has stored.
type Sizes struct {
	Events       float64          `json:"events,omitempty"`        // of the history of one run
	HistoryBytes float64          `json:"history_bytes,omitempty"` // as the Temporal server counts it
	Files        map[string]int64 `json:"files,omitempty"`         // bytes, by name
	Writes       int64            `json:"writes,omitempty"`        // of history shards, each a commit
}

// A Process is a child, in the eyes of its parent.
type Process struct {
	PID     int
	Address string
	Facts   []string
	Startup time.Duration // until it was ready

	cmd *exec.Cmd
	in  io.WriteCloser
	out *json.Decoder
}

// Start starts a program as a child and waits until it is ready. It ends with its parent.
func Start(program string, s Setup) (*Process, error) {
	p := &Process{cmd: exec.Command(program)}
	p.cmd.Stderr = os.Stderr
	p.cmd.Env = append(os.Environ(), "HTTP_PROXY=", "http_proxy=")
	in, err := p.cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	p.in, p.out = in, json.NewDecoder(out)
	began := time.Now()
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	p.PID = p.cmd.Process.Pid
	if err := json.NewEncoder(in).Encode(s); err != nil {
		return nil, errors.Join(fmt.Errorf("start %s: %w", s.As, err), p.Stop())
	}
	a, err := p.read()
	if err != nil {
		return nil, errors.Join(fmt.Errorf("start %s: %w", s.As, err), p.Stop())
	}
	p.Startup, p.Address, p.Facts = time.Since(began), a.Address, a.Facts
	return p, nil
}

// Order gives an order and returns what became of it.
func (p *Process) Order(o Order) (Answer, error) {
	if err := json.NewEncoder(p.in).Encode(o); err != nil {
		return Answer{}, err
	}
	return p.read()
}

func (p *Process) read() (Answer, error) {
	var a Answer
	if err := p.out.Decode(&a); err != nil {
		return a, fmt.Errorf("the process ended: %w", err)
	}
	if a.Failed != "" {
		return a, errors.New(a.Failed)
	}
	return a, nil
}

// Stop ends the process and waits for its end.
func (p *Process) Stop() error {
	_ = p.in.Close()
	over := time.AfterFunc(time.Minute, func() { _ = p.cmd.Process.Kill() })
	defer over.Stop()
	return p.cmd.Wait()
}

// A Subject obeys orders. Its zero value does nothing.
type Subject struct {
	Address string
	Facts   []string
	Do      func(n int) error // one run; n is another each time
	// Begin is called before each load. What it returns is called after, with how many runs
	// there were, and waits for what Do left behind: the rate then is of all of it. nil:
	// nothing is.
	Begin func() (settle func(runs int) error, err error)
	Look  func(a *Answer) error // adds what is known of the subject; nil: nothing
	Close func() error          // nil: there is nothing to close
}

// Serve is the other end of Start: it begins, obeys, and returns when the parent has ended
// or asks it to stop.
func Serve(begin func(Setup) (*Subject, error)) error {
	in, out := json.NewDecoder(os.Stdin), json.NewEncoder(os.Stdout)
	var s Setup
	if err := in.Decode(&s); err != nil {
		return err
	}
	subject, err := begin(s)
	if err != nil {
		_ = out.Encode(Answer{Failed: fmt.Sprintf("%s: %v", s.As, err)})
		return err
	}
	if err := out.Encode(Answer{Address: subject.Address, Facts: subject.Facts}); err != nil {
		return err
	}
	next := 0
	for {
		var o Order
		if err := in.Decode(&o); err != nil {
			if subject.Close == nil {
				return nil
			}
			return subject.Close()
		}
		var a Answer
		if o.At > 0 {
			a = subject.obey(o, &next)
		} else if subject.Look != nil {
			if err := subject.Look(&a); err != nil {
				a.Failed = err.Error()
			}
		}
		if err := out.Encode(a); err != nil {
			return err
		}
	}
}

func (s *Subject) obey(o Order, next *int) (a Answer) {
	settle := func(int) error { return nil }
	var err error
	if s.Begin != nil {
		settle, err = s.Begin()
	}
	began := time.Now()
	if err == nil {
		a.Load, err = Carry(o, *next, s.Do)
		*next += a.Runs
	}
	if err == nil {
		err = settle(a.Runs)
	}
	if a.Took = time.Since(began); s.Begin != nil {
		a.Rate = float64(a.Runs) / a.Took.Seconds()
	}
	if err != nil {
		a.Failed = err.Error()
	}
	return a
}
