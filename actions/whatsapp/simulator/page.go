package simulator

import (
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	html "html/template"
	"net/http"
	"net/url"
	"strings"
	"time"

	"facteur/actions/whatsapp/simulator/livepage"
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
		"lines":    phone.Lines,
		"large":    phone.Large,
		"clock":    func(t time.Time) string { return t.UTC().Format("15:04") },
		"day":      func(t time.Time) string { return t.UTC().Format("Monday, 2 January 2006") },
		"instant":  func(t time.Time) string { return t.UTC().Format(time.RFC3339) },
		"indented": indented,
		"sub":      func(a, b int) int { return a - b },
		"upper":    func(text string) string { return strings.ToUpper(text[:1]) + text[1:] },
		"in":       func(m messageView, b phone.Bubble, card int) part { return part{m, b, card} },
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
		status := http.StatusOK
		if notice != "" {
			status = http.StatusUnprocessableEntity
		}
		livepage.Secure(w.Header())
		_ = livepage.Draw(w, status, drawn, name, v) // it answers
	}
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) { draw("page.html", w, r, "") })
	mux.HandleFunc("GET "+pagePath+"part", func(w http.ResponseWriter, r *http.Request) { draw("part", w, r, "") })
	secured := func(path string, h http.HandlerFunc) {
		mux.HandleFunc("GET "+pagePath+path, func(w http.ResponseWriter, r *http.Request) {
			livepage.Secure(w.Header())
			h(w, r)
		})
	}
	livepage.Assets(pageFiles, secured)
	secured("file/{id}", s.file)
	secured("events", func(w http.ResponseWriter, r *http.Request) { s.feed.Stream(w, r, s.closed) })
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
				return key, errors.New("the data of the form must be a JSON object")
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
			return key, errors.New("the clock cannot be moved that far")
		}
		s.Advance(d)
	case "reset":
		err = s.Reset()
	default:
		err = fmt.Errorf("the page has no action %q", do)
	}
	return key, err
}
