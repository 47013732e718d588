// Package child is the protocol between a benchmark and the processes that it measures, JSON
// over stdin and stdout: the parent starts a process with Start and requests loads, which the
// process runs in Serve. Separate processes keep their costs apart.
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

// A Setup configures a process.
type Setup struct {
	As       string   `json:"as"`       // the role of the process
	API      string   `json:"api"`      // base URL of the Cloud API: http://127.0.0.1:…
	Daemon   string   `json:"daemon"`   // base URL of the daemon
	Temporal string   `json:"temporal"` // the server: host:port
	Postgres string   `json:"postgres"` // the database of the ledger; "": a file
	Dir      string   `json:"dir"`      // a folder of its own
	Senders  []string `json:"senders"`  // phone number IDs
	Prefix   int      `json:"prefix"`   // a digit of its recipients' numbers, different for each process
}

// A Request asks for a load of so many concurrent runs, for so long; runs in progress then are
// completed. The zero Request asks only for statistics.
type Request struct {
	Concurrency int           `json:"at"`
	Duration    time.Duration `json:"for"`
}

// A Response is the result of a request.
type Response struct {
	LoadResult
	Failed  string        `json:"failed,omitempty"`
	Address string        `json:"address,omitempty"` // of a server, once it is ready
	CPU     time.Duration `json:"cpu,omitempty"`     // used by servers that the process has started
	Memory  int64         `json:"memory,omitempty"`  // of them, in bytes
	Facts   []string      `json:"facts,omitempty"`   // lines for the report
	Sizes   Sizes         `json:"sizes,omitzero"`
}

// Sizes are the sizes of what a subject or a server has stored.
type Sizes struct {
	Events       float64          `json:"events,omitempty"`        // in the history of one run
	HistoryBytes float64          `json:"history_bytes,omitempty"` // as the Temporal server counts it
	Files        map[string]int64 `json:"files,omitempty"`         // bytes, by name
	Writes       int64            `json:"writes,omitempty"`        // of history shards, each a commit
}

// A Process is the parent's handle of a child process.
type Process struct {
	PID     int
	Address string
	Facts   []string
	Startup time.Duration // until it was ready

	cmd *exec.Cmd
	in  io.WriteCloser
	out *json.Decoder
}

// Start starts a child process and waits until it is ready. It exits with its parent.
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

// Send sends a request and returns the response.
func (p *Process) Send(o Request) (Response, error) {
	if err := json.NewEncoder(p.in).Encode(o); err != nil {
		return Response{}, err
	}
	return p.read()
}

func (p *Process) read() (Response, error) {
	var a Response
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

// A Subject is what a child process runs. Its zero value does nothing.
type Subject struct {
	Address string
	Facts   []string
	Do      func(n int) error // performs one run; n is different each time
	// BeforeLoad is called before each load. The function that it returns is called after the
	// load with the number of runs, and waits for runs that Do did not wait for; the rate then
	// includes these. Optional.
	BeforeLoad func() (settle func(runs int) error, err error)
	Stats      func(a *Response) error // adds statistics of the subject; optional
	Close      func() error            // optional
}

// Serve is the main function of a child process. It answers requests until the parent exits
// or calls Stop.
func Serve(begin func(Setup) (*Subject, error)) error {
	in, out := json.NewDecoder(os.Stdin), json.NewEncoder(os.Stdout)
	var s Setup
	if err := in.Decode(&s); err != nil {
		return err
	}
	subject, err := begin(s)
	if err != nil {
		_ = out.Encode(Response{Failed: fmt.Sprintf("%s: %v", s.As, err)})
		return err
	}
	if err := out.Encode(Response{Address: subject.Address, Facts: subject.Facts}); err != nil {
		return err
	}
	next := 0
	for {
		var o Request
		if err := in.Decode(&o); err != nil {
			if subject.Close == nil {
				return nil
			}
			return subject.Close()
		}
		var a Response
		if o.Concurrency > 0 {
			a = subject.runLoad(o, &next)
		} else if subject.Stats != nil {
			if err := subject.Stats(&a); err != nil {
				a.Failed = err.Error()
			}
		}
		if err := out.Encode(a); err != nil {
			return err
		}
	}
}

func (s *Subject) runLoad(o Request, next *int) (a Response) {
	settle := func(int) error { return nil }
	var err error
	if s.BeforeLoad != nil {
		settle, err = s.BeforeLoad()
	}
	began := time.Now()
	if err == nil {
		a.LoadResult, err = RunLoad(o, *next, s.Do)
		*next += a.Runs
	}
	if err == nil {
		err = settle(a.Runs)
	}
	if a.Took = time.Since(began); s.BeforeLoad != nil {
		a.Rate = float64(a.Runs) / a.Took.Seconds()
	}
	if err != nil {
		a.Failed = err.Error()
	}
	return a
}
