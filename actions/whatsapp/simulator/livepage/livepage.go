// Package livepage serves pages that change while they are shown, such as the simulator's and that
// of "facteur dev": a page listens to Feed.Stream, and fetches its parts again when something happened.
package livepage

import (
	"bytes"
	"embed"
	"html/template"
	"net/http"
	"sync"
	"time"
)

// Secure sets the headers of a page: no inline scripts, no resources of other origins, no framing.
func Secure(h http.Header) {
	h.Set("Content-Security-Policy", "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; media-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "same-origin")
	h.Set("Cache-Control", "no-store")
}

// Draw answers with a template, or with status 500 and the error that it returns.
func Draw(w http.ResponseWriter, status int, t *template.Template, name string, data any) error {
	var b bytes.Buffer
	if err := t.ExecuteTemplate(&b, name, data); err != nil {
		http.Error(w, "the page cannot be displayed", http.StatusInternalServerError)
		return err
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write(b.Bytes())
	return nil
}

// Assets calls handle for each file that a page consists of besides its HTML, in the folder page of files.
func Assets(files embed.FS, handle func(name string, h http.HandlerFunc)) {
	for _, name := range []string{"page.css", "page.js", "icon.svg"} {
		handle(name, func(w http.ResponseWriter, r *http.Request) { http.ServeFileFS(w, r, files, "page/"+name) })
	}
}

// A Feed tells its subscribers what happens. The zero value is ready for use, by several goroutines.
type Feed[E any] struct {
	mu          sync.Mutex
	subscribers map[chan E]bool
}

// Watch subscribes to events. A slow subscriber misses some. stop ends the subscription, and closes
// the channel.
func (f *Feed[E]) Watch() (events <-chan E, stop func()) {
	c := make(chan E, 256)
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.subscribers == nil {
		f.subscribers = map[chan E]bool{}
	}
	f.subscribers[c] = true
	return c, sync.OnceFunc(func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		delete(f.subscribers, c)
		close(c)
	})
}

// Watched reports whether somebody would hear an event.
func (f *Feed[E]) Watched() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.subscribers) > 0
}

// Publish sends an event to the subscribers. It does not block.
func (f *Feed[E]) Publish(e E) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for c := range f.subscribers {
		select {
		case c <- e:
		default:
		}
	}
}

const (
	pause     = 100 * time.Millisecond // between two changes that a page hears of
	keepAlive = 15 * time.Second
)

// Stream sends a server-sent event whenever something was published, until the request or ended ends.
func (f *Feed[E]) Stream(w http.ResponseWriter, r *http.Request, ended <-chan struct{}) {
	events, stop := f.Watch()
	defer stop()
	w.Header().Set("Content-Type", "text/event-stream; charset=utf-8")
	out := http.NewResponseController(w)
	text := "retry: 1000\n\n"
	for {
		if _, err := w.Write([]byte(text)); err != nil || out.Flush() != nil {
			return
		}
		select {
		case <-events:
			time.Sleep(pause)
			for len(events) > 0 {
				<-events
			}
			text = "data: changed\n\n"
		case <-time.After(keepAlive):
			text = ": alive\n\n"
		case <-r.Context().Done():
			return
		case <-ended:
			return
		}
	}
}
