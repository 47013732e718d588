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

// A request is a sent request, split for comparison. Its parts are decoded on first use.
type request struct {
	info        Info
	method      string
	host        string // scheme and host, lower case
	path        string // escaped
	unversioned string // path without the version
	header      http.Header
	rawQuery    string
	kind        string // of the body: json, form, text, or "" for none
	body        []byte

	decoded                   any // of json and form
	queryValues, headerValues map[string]any
}

// readRequest reads a request and closes its body.
func readRequest(req *http.Request) (request, error) {
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
	s.unversioned, _ = cutVersion(s.path)
	s.rawQuery = req.URL.RawQuery
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

// decode decodes a single JSON value, and keeps numbers as written.
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

// comparablePath returns the path with or without version, as the exchange has it.
func (s *request) comparablePath(e *entry) string {
	if e.versioned || e.Request.Path == s.path {
		return s.path
	}
	return s.unversioned
}

func (s *request) query() any {
	if s.queryValues == nil {
		values, _ := url.ParseQuery(s.rawQuery)
		s.queryValues = fields(values)
	}
	return s.queryValues
}

func (s *request) headers() any {
	if s.headerValues == nil {
		s.headerValues = make(map[string]any, len(s.header))
		for name, texts := range s.header { // names need not be canonical here
			s.headerValues[http.CanonicalHeaderKey(name)] = oneOrAll(texts)
		}
	}
	return s.headerValues
}

// value returns the body as a value of that kind.
func (s *request) value(kind string) any {
	if kind == "text" {
		return string(s.body)
	}
	return s.decoded
}

func fields(values map[string][]string) map[string]any {
	m := make(map[string]any, len(values))
	for name, texts := range values {
		m[name] = oneOrAll(texts)
	}
	return m
}
