package dev

import (
	"cmp"
	"context"
	"maps"
	"net/url"
	"slices"
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
	Place   string // where a new flow is saved
	Address string // of the daemon
	Phone   string
	Flows   []listedFlow
	Errors  int
	Found   findings // that are in the way of the chosen flow, or of no other
	Others  findings // of other flows
	Chosen  *listedFlow
	Form    []formField
	Whole   []string // what is wrong with the inputs as a whole
	Runs    []server.Run
	Run     *server.Detail
	Answer  string // where a person can answer, when the run waits for that
	Sent    []sentMessage
}

type listedFlow struct {
	Name, Description string
	Runnable, Chosen  bool
}

// findings are diagnostics for the page, printed as in the terminal.
type findings struct{ diag.List }

// Title says how many there are, and in which files.
func (f findings) Title() string {
	var files []string
	for _, d := range f.List {
		if file := d.Range.File(); file != "" && !slices.Contains(files, file) {
			files = append(files, file)
		}
	}
	if len(files) > 3 {
		files = append(files[:3], "…")
	}
	title := f.Tally()
	if len(files) > 0 {
		title += " in " + strings.Join(files, ", ")
	}
	return title
}

type sentMessage struct {
	simulator.Message
	Bubble phone.Bubble
	State  string
	Phone  string // where the conversation is
}

// view shows phone numbers: they are the simulator's.
var view = server.View{Numbers: true}

// maxRuns is how many runs the page lists.
const maxRuns = 20

// screen collects what the page shows about a flow and a run.
func (w *Workbench) screen(ctx context.Context, at, form url.Values, problems []formProblem) *screen {
	state := w.state.Load()
	s := &screen{Project: w.project.Root, Place: w.project.Root, Address: w.page, Phone: w.phone, Errors: state.found.Deduplicate().CountErrors()}
	if len(w.project.Flows) > 0 {
		s.Place = w.project.Abs(w.project.Flows[0])
	}
	chosen := w.listFlows(s, state, cmp.Or(at.Get("flow"), w.opts.Flow))
	p, files := w.plan(chosen), slices.Collect(maps.Values(state.files))
	for _, d := range state.found.HideSecretLines().Deduplicate() {
		of := &s.Found
		if file := d.Range.File(); p != nil && file != state.files[chosen] && slices.Contains(files, file) {
			of = &s.Others
		}
		of.List = append(of.List, d)
	}
	for _, p := range problems {
		if p.Name == "" {
			s.Whole = append(s.Whole, p.Text)
		}
	}
	if runs, _, err := w.daemon.Host().List(ctx, host.Filter{Limit: maxRuns}); err == nil {
		for _, r := range runs {
			s.Runs = append(s.Runs, view.Run(r))
		}
	}
	if report, err := w.daemon.Host().Get(ctx, at.Get("run")); err == nil {
		w.showRun(s, report)
	}
	if p != nil {
		if form == nil && s.Run != nil && s.Run.Flow == chosen {
			form = formValues(p, s.Run.Inputs) // to run it again, and change but one thing
		}
		s.Form = formFields(p, form, problems)
	}
	return s
}

// listFlows lists the flows, and returns the one that the page shows: the chosen one, else the first that can be run.
func (w *Workbench) listFlows(s *screen, state *projectState, chosen string) string {
	for _, name := range slices.Sorted(maps.Keys(state.files)) {
		f := listedFlow{Name: name}
		if p := w.plan(name); p != nil {
			f.Description, f.Runnable = p.Description, true
			chosen = cmp.Or(chosen, name)
		}
		if f.Chosen = name == chosen; f.Chosen {
			s.Chosen = &f
		}
		s.Flows = append(s.Flows, f)
	}
	return chosen
}

// showRun shows a run, and where a person can answer it.
func (w *Workbench) showRun(s *screen, r *host.Report) {
	s.Run = view.Detail(r)
	s.Sent = w.sent(r)
	if slices.ContainsFunc(s.Run.Waits, func(wait string) bool { return strings.HasPrefix(wait, "whatsapp.message") }) {
		s.Answer = w.phone + "/"
		if n := len(s.Sent); n > 0 {
			s.Answer = s.Sent[n-1].Phone
		}
	}
}

// sent returns the messages of a run, and those that its recipients have sent since.
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
