package dev

import (
	"context"
	"embed"
	html "html/template"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"facteur/actions/whatsapp/simulator"
	"facteur/actions/whatsapp/simulator/livepage"
	"facteur/actions/whatsapp/simulator/phone"
	"facteur/flow/diag"
	"facteur/flow/host"
	"facteur/flow/schema"
	"facteur/server"
)

//go:embed page
var pageFiles embed.FS

// partsPath is the prefix of the page's own paths: none of the daemon's begins with it.
const partsPath = "/dev/"

// pageRoutes adds the page. As it needs no key, it only accepts requests of its own origin, under
// a name of the loopback.
func (w *Workbench) pageRoutes(mux *http.ServeMux) {
	drawn := html.Must(html.New("page").Funcs(html.FuncMap{
		"lines": phone.Lines,
		"clock": func(t time.Time) string { return t.Local().Format("15:04:05") },
		"took": func(from, to time.Time) string {
			if to.IsZero() {
				return ""
			}
			return schema.FormatDuration(to.Sub(from).Round(time.Millisecond))
		},
		"value":     schema.OneLine,
		"printable": diag.Printable,
		"magics": func() []simulator.Magic {
			all := simulator.Magics()
			for i, m := range all { // those that stand for many, by one of them
				all[i].Phone = strings.NewReplacer(" ", "", "CCCC", "1049").Replace(m.Phone)
			}
			return all
		},
		"names": func(m map[string]any) []string { return slices.Sorted(maps.Keys(m)) },
	}).ParseFS(pageFiles, "page/*.html"))
	handle := func(pattern string, h http.HandlerFunc) {
		mux.Handle(pattern, http.NewCrossOriginProtection().Handler(http.HandlerFunc(func(out http.ResponseWriter, r *http.Request) {
			if !server.IsLoopback(r.Host) {
				http.Error(out, "this page can only be opened on this machine", http.StatusForbidden)
				return
			}
			livepage.Secure(out.Header())
			h(out, r)
		})))
	}
	draw := func(name string, out http.ResponseWriter, status int, s *screen) {
		if err := livepage.Draw(out, status, drawn, name, s); err != nil {
			w.log.Error("the page cannot be displayed", "error", err)
		}
	}
	for pattern, name := range map[string]string{"GET /{$}": "page.html", "GET " + partsPath + "live": "live"} {
		handle(pattern, func(out http.ResponseWriter, r *http.Request) {
			draw(name, out, http.StatusOK, w.screen(r.Context(), r.URL.Query(), nil, nil))
		})
	}
	handle("POST "+partsPath+"run", func(out http.ResponseWriter, r *http.Request) {
		r.Body = http.MaxBytesReader(out, r.Body, 1<<20)
		if err := r.ParseForm(); err != nil {
			http.Error(out, "the form cannot be read", http.StatusBadRequest)
			return
		}
		name := r.PostForm.Get("flow")
		at := url.Values{"flow": {name}}
		run, problems := w.start(r.Context(), name, r.PostForm)
		if len(problems) > 0 {
			draw("page.html", out, http.StatusUnprocessableEntity, w.screen(r.Context(), at, r.PostForm, problems))
			return
		}
		at.Set("run", run)
		http.Redirect(out, r, "/?"+at.Encode()+"#run", http.StatusSeeOther)
	})
	handle("GET "+partsPath+"news", func(out http.ResponseWriter, r *http.Request) { w.changes.Stream(out, r, w.stopped) })
	livepage.Assets(pageFiles, func(name string, h http.HandlerFunc) { handle("GET "+partsPath+name, h) })
}

// start starts a run of a flow with the values of a form.
func (w *Workbench) start(ctx context.Context, name string, form url.Values) (run string, problems []formProblem) {
	p := w.plan(name)
	if p == nil {
		return "", []formProblem{{"", "there is no such flow, or it has errors"}}
	}
	inputs, problems := readForm(p, form)
	if len(problems) > 0 {
		return "", problems
	}
	started, _, err := w.daemon.Host().Start(ctx, p, host.Start{Inputs: inputs, By: "dev"})
	if err != nil {
		return "", []formProblem{{"", err.Error()}}
	}
	w.log.Info("run started", "flow", name, "run", started.ID)
	return started.ID, nil
}
