package dev

import (
	"context"
	"net/url"
	"strings"
	"time"

	"facteur/actions/whatsapp/simulator"
	"facteur/actions/whatsapp/simulator/phone"
	"facteur/flow/diag"
	"facteur/flow/host"
	"facteur/server"
)

// A screen is what the page shows.
type screen struct {
	Project string
	Phone   string
	Flows   []listedFlow
	Found   []finding
	Errors  int
	Chosen  *listedFlow
	Form    []formField
	Whole   []string // what is wrong with the inputs as a whole
	Runs    []server.Run
	Run     *server.Detail
	Error   string // of the run, in a line
	Sent    []sentMessage
}

type listedFlow struct {
	Name, Description string
	Runnable, Chosen  bool
	Connections       []string
}

type finding struct {
	Severity string
	Text     string // as in the terminal: place, message, snippet, hint
}

type sentMessage struct {
	simulator.Message
	Bubble phone.Bubble
	State  string
	Phone  string // where the conversation is
}

// view shows numbers: they are those of the phone.
var view = server.View{Numbers: true}

// mostRuns is how many runs the page lists.
const mostRuns = 20

// look collects what the page shows of a flow and a run.
func (w *Workbench) look(ctx context.Context, at, form url.Values, problems []formProblem) *screen {
	state := w.said.Load()
	s := &screen{Project: w.project.Root, Phone: w.phone, Errors: state.found.CountErrors()}
	for _, d := range state.found {
		var b strings.Builder
		_ = diag.Printer{W: &b}.Print(diag.List{d}) // of a builder
		s.Found = append(s.Found, finding{d.Severity.String(), strings.TrimRight(b.String(), "\n")})
	}
	chosen := at.Get("flow")
	if chosen == "" {
		chosen = w.opts.Flow
	}
	for _, name := range state.names {
		f := listedFlow{Name: name}
		if p := w.plan(name); p != nil {
			f.Description, f.Runnable, f.Connections = p.Description, true, p.Connections
		}
		if chosen == "" && f.Runnable {
			chosen = name
		}
		f.Chosen = name == chosen
		s.Flows = append(s.Flows, f)
		if f.Chosen {
			s.Chosen = &f
		}
	}
	for _, p := range problems {
		if p.Name == "" {
			s.Whole = append(s.Whole, p.Text)
		}
	}
	if runs, _, err := w.daemon.Host().List(ctx, host.Filter{Limit: mostRuns}); err == nil {
		for _, r := range runs {
			s.Runs = append(s.Runs, view.Run(r))
		}
	}
	if report, err := w.daemon.Host().Get(ctx, at.Get("run")); err == nil {
		s.Run = view.Detail(report)
		s.Sent = w.sent(report)
		if e := s.Run.Error; e != nil {
			s.Error = e.Code + ": " + e.Message
		}
	}
	if p := w.plan(chosen); p != nil {
		if form == nil && s.Run != nil && s.Run.Flow == chosen {
			form = formValues(p, s.Run.Inputs) // to run it again, and change but one thing
		}
		s.Form = formOf(p, form, problems)
	}
	return s
}

// sent returns the messages of a run, and what its recipients said since.
func (w *Workbench) sent(r *host.Report) []sentMessage {
	var out []sentMessage
	with := map[string]bool{}
	began := r.Run.Started
	for _, m := range w.api.Messages(simulator.Filter{}) {
		person := m.Number + "." + m.Person
		ours := strings.HasPrefix(m.Key, "f1."+r.Run.ID+".")
		if ours {
			with[person] = true
		}
		reply := m.Inbound && with[person] && !m.At.Before(began) && (r.Run.Ended.IsZero() || m.At.Before(r.Run.Ended.Add(time.Minute)))
		if ours || reply {
			words := strings.ReplaceAll(m.State, "_", " ")
			if m.Error != nil {
				words += ": " + m.Error.Title
			}
			out = append(out, sentMessage{m, m.Bubble(), words, w.phone + "/?c=" + url.QueryEscape(person)})
		}
	}
	return out
}
