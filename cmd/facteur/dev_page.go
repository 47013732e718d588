package main

import (
	"bytes"
	"context"
	"embed"
	html "html/template"
	"net/http"
	"net/url"
	"strings"
	"time"

	"facteur/actions/whatsapp/simulator"
	"facteur/flow/diag"
	"facteur/flow/host"
	"facteur/flow/schema"
	"facteur/server"
)

//go:embed devpage
var devFiles embed.FS

// A devScreen is what the page shows.
type devScreen struct {
	Project string
	Phone   string
	Flows   []devFlow
	Found   []devFinding
	Errors  int
	Chosen  *devFlow
	Form    []formField
	Whole   []string // what is wrong with the inputs as a whole
	Runs    []server.Run
	Run     *server.Detail
	Error   string // of the run, in a line
	Sent    []devMessage
}

type devFlow struct {
	Name, Description string
	Runnable, Chosen  bool
	Connections       []string
}

type devFinding struct {
	Severity string
	Text     string // as in the terminal: place, message, snippet, hint
}

type devMessage struct {
	simulator.Message
	Bubble simulator.Bubble
	State  string
	Phone  string // where the conversation is
}

// devView shows numbers: they are those of the phone.
var devView = server.View{Numbers: true}

// mostRuns is how many runs the page lists.
const mostRuns = 20

// devPath is where the page's parts are: no path of the daemon's begins so.
const devPath = "/dev/"

// pageRoutes adds the page. Only pages of its own may make it do something, and only
// under a name of the loopback: it asks for no key.
func (w *workbench) pageRoutes(mux *http.ServeMux) {
	drawn := html.Must(html.New("page").Funcs(html.FuncMap{
		"lines": simulator.Lines,
		"clock": func(t time.Time) string { return t.Local().Format("15:04:05") },
		"took": func(from, to time.Time) string {
			if to.IsZero() {
				return ""
			}
			return schema.FormatDuration(to.Sub(from).Round(time.Millisecond))
		},
		"value": schema.OneLine,
		"names": sortedNames[any],
	}).ParseFS(devFiles, "devpage/*.html"))
	handle := func(pattern string, h http.HandlerFunc) {
		mux.Handle(pattern, http.NewCrossOriginProtection().Handler(http.HandlerFunc(func(out http.ResponseWriter, r *http.Request) {
			if !server.IsLoopback(r.Host) {
				http.Error(out, "this page is for this machine alone", http.StatusForbidden)
				return
			}
			header := out.Header()
			header.Set("Content-Security-Policy", "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'")
			header.Set("X-Content-Type-Options", "nosniff")
			header.Set("Referrer-Policy", "same-origin")
			header.Set("Cache-Control", "no-store")
			h(out, r)
		})))
	}
	draw := func(name string, out http.ResponseWriter, status int, s *devScreen) {
		var b bytes.Buffer
		if err := drawn.ExecuteTemplate(&b, name, s); err != nil {
			w.log.Error("the page cannot be drawn", "error", err)
			http.Error(out, "the page cannot be drawn", http.StatusInternalServerError)
			return
		}
		out.Header().Set("Content-Type", "text/html; charset=utf-8")
		out.WriteHeader(status)
		_, _ = out.Write(b.Bytes())
	}
	for pattern, name := range map[string]string{"GET /{$}": "page.html", "GET " + devPath + "live": "live"} {
		handle(pattern, func(out http.ResponseWriter, r *http.Request) {
			draw(name, out, http.StatusOK, w.look(r.Context(), r.URL.Query(), nil, nil))
		})
	}
	handle("POST "+devPath+"run", func(out http.ResponseWriter, r *http.Request) {
		r.Body = http.MaxBytesReader(out, r.Body, 1<<20)
		if err := r.ParseForm(); err != nil {
			http.Error(out, "the form cannot be read", http.StatusBadRequest)
			return
		}
		name := r.PostForm.Get("flow")
		at := url.Values{"flow": {name}}
		run, problems := w.start(r.Context(), name, r.PostForm)
		if len(problems) > 0 {
			draw("page.html", out, http.StatusUnprocessableEntity, w.look(r.Context(), at, r.PostForm, problems))
			return
		}
		at.Set("run", run)
		http.Redirect(out, r, "/?"+at.Encode()+"#run", http.StatusSeeOther)
	})
	handle("GET "+devPath+"news", w.stream)
	for name, kind := range map[string]string{"page.css": "text/css; charset=utf-8", "page.js": "text/javascript; charset=utf-8", "icon.svg": "image/svg+xml"} {
		handle("GET "+devPath+name, func(out http.ResponseWriter, _ *http.Request) {
			text, _ := devFiles.ReadFile("devpage/" + name)
			out.Header().Set("Content-Type", kind)
			_, _ = out.Write(text)
		})
	}
}

// start runs a flow with what a form was filled in with.
func (w *workbench) start(ctx context.Context, name string, form url.Values) (run string, problems []formProblem) {
	p := w.plan(name)
	if p == nil {
		return "", []formProblem{{"", errNoFlow.Error()}}
	}
	inputs, problems := filledIn(p, form)
	if len(problems) > 0 {
		return "", problems
	}
	started, _, err := w.daemon.Host().Start(ctx, p, host.Start{Inputs: inputs, By: "dev"})
	if err != nil {
		return "", []formProblem{{"", err.Error()}}
	}
	w.log.Info("run", "flow", name, "run", started.ID)
	return started.ID, nil
}

// look collects what the page shows of a flow and a run.
func (w *workbench) look(ctx context.Context, at, form url.Values, problems []formProblem) *devScreen {
	w.mu.Lock()
	state := w.state
	w.mu.Unlock()
	s := &devScreen{Project: w.project.Root, Phone: w.phone.url, Errors: state.Found.CountErrors()}
	for _, d := range state.Found {
		var b strings.Builder
		_ = diag.Printer{W: &b}.Print(diag.List{d}) // of a builder
		s.Found = append(s.Found, devFinding{d.Severity.String(), strings.TrimRight(b.String(), "\n")})
	}
	chosen := at.Get("flow")
	if chosen == "" {
		chosen = w.open
	}
	for _, name := range state.Names {
		f := devFlow{Name: name}
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
			s.Runs = append(s.Runs, devView.Run(r))
		}
	}
	if report, err := w.daemon.Host().Get(ctx, at.Get("run")); err == nil {
		s.Run = devView.Detail(report)
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
func (w *workbench) sent(r *host.Report) []devMessage {
	var out []devMessage
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
			out = append(out, devMessage{m, m.Bubble(), words, w.phone.url + "/?c=" + url.QueryEscape(person)})
		}
	}
	return out
}

// news tells the pages that something has changed.
func (w *workbench) news() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for page := range w.pages {
		select {
		case page <- struct{}{}:
		default:
		}
	}
}

// stream tells a page of news, a few times a second at most.
func (w *workbench) stream(out http.ResponseWriter, r *http.Request) {
	heard := make(chan struct{}, 1)
	w.mu.Lock()
	w.pages[heard] = true
	w.mu.Unlock()
	defer func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		delete(w.pages, heard)
	}()
	out.Header().Set("Content-Type", "text/event-stream; charset=utf-8")
	flush := http.NewResponseController(out)
	say := func(text string) bool {
		_, err := out.Write([]byte(text))
		return err == nil && flush.Flush() == nil
	}
	if !say("retry: 1000\n\n") {
		return
	}
	for {
		select {
		case <-heard:
			if !sleep(r.Context(), 80*time.Millisecond) || !say("data: news\n\n") {
				return
			}
		case <-time.After(15 * time.Second):
			if !say(": alive\n\n") {
				return
			}
		case <-r.Context().Done():
			return
		case <-w.closed:
			return
		}
	}
}
