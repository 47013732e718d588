package simulator

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// The versions of the API that there are.
const (
	oldestVersion  = 19
	newestVersion  = 25
	defaultVersion = 23
)

// ControlPath is where the simulator itself is asked and told; no path of the Graph API
// begins with _.
const ControlPath = "/_simulator/"

// ServeHTTP answers as the Graph API does; below ControlPath, as the simulator; and at /
// with a page.
func (s *Simulator) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	path := r.URL.Path
	if path == "/" || strings.HasPrefix(path, ControlPath) || path == "/favicon.ico" {
		s.control.ServeHTTP(w, r)
		return
	}
	s.mu.Lock()
	s.log.counts.Requests++
	s.mu.Unlock()
	g := &graphCall{w: w, r: r, version: defaultVersion}
	if err := s.route(g, path); err != nil {
		s.refuse(g, err)
	} else if g.out != nil {
		h := g.header()
		h["Content-Length"] = []string{strconv.Itoa(len(g.out))}
		_, _ = g.w.Write(g.out)
	}
}

// A graphCall is a request to the Graph API.
type graphCall struct {
	w       http.ResponseWriter
	r       *http.Request
	version int
	token   *Token
	now     time.Time
	waba    string // for the usage header
	fields  fields // parameters, once asked for
	out     []byte // the answer, written when nothing is locked
}

// route finds what a path means.
func (s *Simulator) route(g *graphCall, path string) *apiError {
	if strings.HasPrefix(path, attachments) {
		return s.download(g)
	}
	parts := strings.Split(strings.Trim(path, "/"), "/")
	if v, ok := strings.CutPrefix(parts[0], "v"); ok {
		major, minor, _ := strings.Cut(v, ".")
		n, err := strconv.Atoi(major)
		if err != nil || strconv.Itoa(n) != major || minor != "0" || n < 1 || n > newestVersion {
			return noPath(path)
		}
		g.version, parts = max(n, oldestVersion), parts[1:] // a version that has ended is answered by the oldest
	}
	if len(parts) == 0 || len(parts) > 2 || parts[0] == "" {
		return noPath(path)
	}
	g.now = s.Now()
	if parts[0] == "debug_token" && len(parts) == 1 {
		return s.debugToken(g)
	}
	if err := s.authorize(g); err != nil {
		return err
	}
	id := parts[0]
	edge := ""
	if len(parts) == 2 {
		edge = parts[1]
	}
	switch edge {
	case "messages", "marketing_messages":
		return s.messages(g, id, edge)
	case "media":
		return s.upload(g, id)
	}
	return s.manage(g, id, edge, path)
}

// header sets what every answer has.
func (g *graphCall) header() http.Header {
	h := g.w.Header()
	for _, same := range sameHeaders {
		h[same.name] = same.values
	}
	h["Facebook-Api-Version"] = []string{"v" + strconv.Itoa(g.version) + ".0"}
	trace := traceID()
	h["X-Fb-Request-Id"], h["X-Fb-Trace-Id"] = []string{trace[:23]}, []string{trace[23:]}
	return h
}

// sameHeaders are those that every answer has.
var sameHeaders = [...]struct {
	name   string
	values []string
}{
	{"Content-Type", []string{"application/json; charset=UTF-8"}},
	{"Vary", []string{"Origin, Accept-Encoding"}},
	{"Cache-Control", []string{"private, no-cache, no-store, must-revalidate"}},
	{"Pragma", []string{"no-cache"}},
	{"Expires", []string{"Sat, 01 Jan 2000 00:00:00 GMT"}},
	{"Access-Control-Allow-Origin", []string{"*"}},
	{"Strict-Transport-Security", []string{"max-age=15552000; preload"}},
	{"X-Fb-Rev", []string{"1016949697"}},
}

// refuse answers with an error.
func (s *Simulator) refuse(g *graphCall, e *apiError) {
	s.mu.Lock()
	s.log.counts.Refused++
	s.mu.Unlock()
	if e.code == 131000 || e.status == 0 {
		e.status = max(e.status, http.StatusInternalServerError)
	}
	h := g.header()
	trace := traceID()[:23]
	if e.status == http.StatusBadRequest || e.status == http.StatusUnauthorized || e.status == http.StatusForbidden {
		reason := "invalid_request"
		if e.code == 190 || e.code == 102 {
			reason = "invalid_token"
		}
		h.Set("WWW-Authenticate", fmt.Sprintf("OAuth \"Facebook Platform\" %q %q", reason, ascii(e.message)))
	}
	if e.code == 4 || e.code == 80007 {
		h.Set("X-Business-Use-Case-Usage", fmt.Sprintf(`{"%s":[{"type":"whatsapp","call_count":100,"total_cputime":25,"total_time":25,"estimated_time_to_regain_access":15}]}`, g.waba))
	}
	body := graphErrorBody(e, trace)
	h.Set("Content-Length", strconv.Itoa(len(body)))
	g.w.WriteHeader(e.status)
	_, _ = g.w.Write(body)
}

// ascii leaves out what a header may not have.
func ascii(text string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return -1
		}
		return r
	}, text)
}

func graphErrorBody(e *apiError, trace string) []byte {
	type data struct {
		Product string `json:"messaging_product"`
		Details string `json:"details"`
	}
	type shape struct {
		Message   string `json:"message"`
		Type      string `json:"type"`
		Code      int64  `json:"code"`
		Data      *data  `json:"error_data,omitempty"`
		Subcode   int64  `json:"error_subcode,omitempty"`
		Transient *bool  `json:"is_transient,omitempty"`
		Title     string `json:"error_user_title,omitempty"`
		Advice    string `json:"error_user_msg,omitempty"`
		Trace     string `json:"fbtrace_id"`
	}
	out := shape{Message: e.message, Type: e.kind, Code: e.code, Subcode: e.subcode, Title: e.title, Advice: e.advice, Trace: trace}
	if e.details != "" {
		out.Data = &data{"whatsapp", e.details}
	}
	if e.transient || e.title != "" {
		out.Transient = &e.transient
	}
	return encode(map[string]any{"error": out})
}

// encode writes JSON as the API does: without escapes that only HTML needs.
func encode(v any) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return []byte("{}") // nothing here is beyond JSON
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}

// answer answers with an object.
func (s *Simulator) answer(g *graphCall, v any) *apiError {
	return s.answerText(g, encode(v))
}

func (s *Simulator) answerText(g *graphCall, body []byte) *apiError {
	g.out = body
	return nil
}

// maxBody is more than any request has that is no upload.
const maxBody = 1 << 20

// read reads the body of a request.
func (g *graphCall) read() ([]byte, *apiError) {
	text, err := io.ReadAll(http.MaxBytesReader(g.w, g.r.Body, maxBody))
	if _, long := errors.AsType[*http.MaxBytesError](err); long {
		return nil, &apiError{status: http.StatusRequestEntityTooLarge, kind: oauth, code: 1, message: "Please reduce the amount of data you're asking for, then retry your request"}
	}
	if err != nil {
		return nil, invalidParameter("(#100) The request body could not be read.")
	}
	return text, nil
}
