package record

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strings"
)

// A request is what was sent, taken apart for comparison. Its parts are decoded
// when they are first asked for.
type request struct {
	info   Info
	method string
	host   string // scheme and host, lower case
	path   string // escaped
	short  string // the path without a version
	header http.Header
	rawQ   string
	kind   string // of the body: json, form, text, or "" for none
	body   []byte

	decoded any // of json and form
	q, h    map[string]any
}

// read takes a request apart and closes its body.
func read(req *http.Request) (request, error) {
	s := request{info: infoOf(req.Context()), method: req.Method, header: req.Header}
	if s.method == "" {
		s.method = http.MethodGet
	}
	if req.Body != nil {
		defer req.Body.Close()
	}
	if req.URL == nil {
		return s, errors.New("the request has no URL")
	}
	s.host = strings.ToLower(req.URL.Scheme + "://" + req.URL.Host)
	if s.path = req.URL.EscapedPath(); s.path == "" {
		s.path = "/"
	}
	s.short, _ = cutVersion(s.path)
	s.rawQ = req.URL.RawQuery
	if req.Body == nil || req.Body == http.NoBody {
		return s, nil
	}
	var b bytes.Buffer
	if req.ContentLength > 0 {
		b.Grow(int(min(req.ContentLength, 1<<20)) + bytes.MinRead)
	}
	if _, err := io.Copy(&b, req.Body); err != nil {
		return s, err
	}
	s.setBody(b.Bytes())
	return s, nil
}

func (s *request) setBody(body []byte) {
	s.body = body
	if len(body) == 0 {
		return
	}
	media := s.header.Get("Content-Type")
	if media != typeJSON {
		media, _, _ = mime.ParseMediaType(media)
	}
	if media == "application/x-www-form-urlencoded" {
		if values, err := url.ParseQuery(string(body)); err == nil {
			s.kind, s.decoded = "form", fields(values)
			return
		}
	} else if v, err := decode(body); err == nil && (isJSON(media) || media == "") {
		s.kind, s.decoded = "json", v
		return
	}
	s.kind = "text"
}

func isJSON(media string) bool {
	return media == typeJSON || strings.HasSuffix(media, "+json")
}

// decode reads one JSON value, keeping its numbers as they are written.
func decode(body []byte) (v any, err error) {
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.UseNumber()
	if err := dec.Decode(&v); err != nil {
		return nil, err
	}
	if _, err := dec.Token(); err != io.EOF {
		return nil, errors.New("more than one JSON value")
	}
	return v, nil
}

// pathLike returns the path in the form in which the exchange gives it.
func (s *request) pathLike(e *entry) string {
	if e.versioned || e.Request.Path == s.path {
		return s.path
	}
	return s.short
}

func (s *request) query() any {
	if s.q == nil {
		values, _ := url.ParseQuery(s.rawQ)
		s.q = fields(values)
	}
	return s.q
}

func (s *request) headers() any {
	if s.h == nil {
		s.h = make(map[string]any, len(s.header))
		for name, texts := range s.header { // a transport may also be handed names in small letters
			s.h[http.CanonicalHeaderKey(name)] = textsOf(texts)
		}
	}
	return s.h
}

// value gives the body as a value of that kind.
func (s *request) value(kind string) any {
	if kind == "text" {
		return string(s.body)
	}
	return s.decoded
}

func fields(values map[string][]string) map[string]any {
	m := make(map[string]any, len(values))
	for name, texts := range values {
		m[name] = textsOf(texts)
	}
	return m
}
