package simulator

import (
	"bytes"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	html "html/template"
	"net/http"
	"net/url"
	"strings"
	"time"

	"facteur/actions/whatsapp/simulator/phone"
	"facteur/flow/schema"
)

//go:embed page
var pageFiles embed.FS

// pagePath is where the page's parts are.
const pagePath = ControlPath + "page/"

// pages are the templates of the page, parsed once.
func pages() *html.Template {
	return html.Must(html.New("page").Funcs(html.FuncMap{
		"lines":   phone.Lines,
		"large":   phone.Large,
		"clock":   func(t time.Time) string { return t.UTC().Format("15:04") },
		"day":     func(t time.Time) string { return t.UTC().Format("Monday, 2 January 2006") },
		"instant": func(t time.Time) string { return t.UTC().Format(time.RFC3339) },
		"sub":     func(a, b int) int { return a - b },
		"upper":   func(text string) string { return strings.ToUpper(text[:1]) + text[1:] },
		"in":      func(m messageView, b phone.Bubble, card int) part { return part{m, b, card} },
		"host": func(address string) string {
			u, err := url.Parse(address)
			if err != nil || u.Host == "" {
				return address
			}
			return u.Host
		},
		"sameDay": func(a, b time.Time) bool { return a.UTC().Format(time.DateOnly) == b.UTC().Format(time.DateOnly) },
	}).ParseFS(pageFiles, "page/*.html"))
}

// A part is a bubble to draw: of a message, or a card of one.
type part struct {
	Of     messageView
	Bubble phone.Bubble
	Card   int // -1 for the message itself
}

// pageRoutes adds the page to the control API.
func (s *Simulator) pageRoutes(mux *http.ServeMux) {
	drawn := pages()
	draw := func(name string, w http.ResponseWriter, r *http.Request, notice string) {
		v := s.screen(r.FormValue("c"), r.FormValue("raw") != "")
		v.Notice = notice
		var b bytes.Buffer
		if err := drawn.ExecuteTemplate(&b, name, v); err != nil {
			http.Error(w, "the page cannot be drawn", http.StatusInternalServerError)
			return
		}
		secure(w.Header())
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		if notice != "" {
			w.WriteHeader(http.StatusUnprocessableEntity)
		}
		_, _ = w.Write(b.Bytes())
	}
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) { draw("page.html", w, r, "") })
	mux.HandleFunc("GET "+pagePath+"part", func(w http.ResponseWriter, r *http.Request) { draw("part", w, r, "") })
	for name, kind := range map[string]string{"page.css": "text/css; charset=utf-8", "page.js": "text/javascript; charset=utf-8", "icon.svg": "image/svg+xml"} {
		mux.HandleFunc("GET "+pagePath+name, func(w http.ResponseWriter, _ *http.Request) {
			text, _ := pageFiles.ReadFile("page/" + name)
			secure(w.Header())
			w.Header().Set("Content-Type", kind)
			_, _ = w.Write(text)
		})
	}
	mux.HandleFunc("GET "+pagePath+"file/{id}", func(w http.ResponseWriter, r *http.Request) {
		secure(w.Header())
		s.file(w, r)
	})
	mux.HandleFunc("GET "+pagePath+"events", s.stream)
	mux.HandleFunc("POST "+pagePath+"do", func(w http.ResponseWriter, r *http.Request) {
		r.Body = http.MaxBytesReader(w, r.Body, maxBody)
		if err := r.ParseForm(); err != nil {
			http.Error(w, "the form cannot be read", http.StatusBadRequest)
			return
		}
		key, err := s.handleForm(r.PostForm)
		if err != nil {
			draw("page.html", w, r, err.Error())
			return
		}
		http.Redirect(w, r, "/?c="+url.QueryEscape(key), http.StatusSeeOther)
	})
}

// secure sets security headers: no inline scripts, no resources of other origins, no framing.
func secure(h http.Header) {
	h.Set("Content-Security-Policy", "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; media-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cache-Control", "no-store")
}

// handleForm handles a form of the page, and returns the conversation to show.
func (s *Simulator) handleForm(form url.Values) (key string, err error) {
	key = form.Get("c")
	number, person, _ := strings.Cut(key, ".")
	id := form.Get("message_id")
	switch do := form.Get("do"); do {
	case "send", "start":
		if do == "start" {
			person, number = form.Get("from"), form.Get("to")
		}
		id, err = s.Send(Inbound{From: person, To: number, Type: form.Get("type"), Text: form.Get("text"), ReplyTo: form.Get("reply_to")})
		if m, ok := s.Message(id); ok {
			key = m.Number + "." + m.Person
			s.Read(m.Number, m.Person)
		}
	case "tap":
		t := Tap{MessageID: id, Choice: form.Get("choice")}
		_, _ = fmt.Sscan(form.Get("card"), &t.Card)
		if text := strings.TrimSpace(form.Get("filled")); text != "" {
			if json.Unmarshal([]byte(text), &t.Filled) != nil {
				return key, errors.New("what the form is filled in with is no JSON object")
			}
		}
		s.Read(number, person)
		_, err = s.Tap(t)
	case "react":
		_, err = s.React(id, form.Get("emoji"))
	case "read":
		s.Read(number, person)
	case "advance":
		d, bad := schema.ParseDuration(form.Get("by"))
		if bad != nil || d > mostAdvance || s.Now().Year() > latestYear {
			return key, errors.New("the clock cannot be moved so far")
		}
		s.Advance(d)
	case "reset":
		err = s.Reset()
	default:
		err = fmt.Errorf("%q is nothing that the page does", do)
	}
	return key, err
}

// stream tells a page that something changed, a few times a second at most.
func (s *Simulator) stream(w http.ResponseWriter, r *http.Request) {
	events, stop := s.Watch()
	defer stop()
	secure(w.Header())
	w.Header().Set("Content-Type", "text/event-stream; charset=utf-8")
	out := http.NewResponseController(w)
	say := func(text string) bool {
		_, err := w.Write([]byte(text))
		return err == nil && out.Flush() == nil
	}
	if !say("retry: 1000\n\n") {
		return
	}
	alive := time.NewTicker(15 * time.Second)
	defer alive.Stop()
	for {
		select {
		case <-events:
			pause := time.NewTimer(100 * time.Millisecond)
			for quiet := false; !quiet; {
				select {
				case <-events:
				case <-pause.C:
					quiet = true
				}
			}
			if !say("data: changed\n\n") {
				return
			}
		case <-alive.C:
			if !say(": alive\n\n") {
				return
			}
		case <-r.Context().Done():
			return
		case <-s.closed:
			return
		}
	}
}
