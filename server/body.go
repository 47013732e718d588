package server

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"facteur/flow/diag"
	"facteur/flow/schema"
)

// readObject reads the body of a request: a JSON object of a type. No body is an empty object.
func (a *api) readObject(req *request, t *schema.Type) (map[string]any, error) {
	b := buffers.Get().(*bytes.Buffer)
	defer putBuffer(b)
	if req.ContentLength > a.MaxBody {
		return nil, a.tooLarge()
	}
	if encoding := req.Header.Get("Content-Encoding"); encoding != "" && !strings.EqualFold(encoding, "identity") {
		return nil, problem(NotJSON, "send it uncompressed, without Content-Encoding", "the body is compressed: %q", encoding)
	}
	if _, err := b.ReadFrom(io.LimitReader(req.Body, a.MaxBody+1)); err != nil {
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return nil, problem(TooSlow, "send the whole body without delay", "the body did not arrive in time")
		}
		return nil, problem(BadRequest, "", "the body could not be read: %v", err)
	}
	if int64(b.Len()) > a.MaxBody {
		return nil, a.tooLarge()
	}
	var v any = map[string]any{}
	if text := b.Bytes(); len(bytes.TrimSpace(text)) > 0 {
		if !isJSON(req.Header) {
			return nil, problem(NotJSON, "send JSON, with the header Content-Type: application/json", "the body has the type %q", req.Header.Get("Content-Type"))
		}
		var err error
		if v, err = schema.ReadJSON(text); err != nil {
			return nil, problem(BadRequest, "", "the body is not JSON: %v", err)
		}
	}
	v, found := t.Coerce(v)
	if p := invalidValue("", "the body is wrong", found); p != nil {
		return nil, p
	}
	object, _ := v.(map[string]any)
	return object, nil
}

// withBody decodes the body of a request for answer.
func withBody[T any](answer func(a *api, req *request, body T) (reply, error)) func(*api, *request) (reply, error) {
	t := schema.Of[T]()
	return func(a *api, req *request) (reply, error) {
		var body T
		object, err := a.readObject(req, t)
		if err == nil {
			err = schema.Decode(object, &body)
		}
		if err != nil {
			return reply{}, err
		}
		return answer(a, req, body)
	}
}

func (a *api) tooLarge() *Problem {
	return problem(TooLarge, "send less in one request", "the body is larger than %d bytes", a.MaxBody)
}

func isJSON(h http.Header) bool {
	given := h.Get("Content-Type")
	if given == "application/json" {
		return true
	}
	kind, params, err := mime.ParseMediaType(given)
	charset := params["charset"]
	return err == nil && kind == "application/json" && (charset == "" || strings.EqualFold(charset, "utf-8"))
}

// A query reads the parameters of a request, and collects their errors.
type query struct {
	values url.Values
	known  []string
	errors []FieldError
}

func newQuery(req *request) *query {
	if req.URL.RawQuery == "" {
		return &query{}
	}
	values, err := url.ParseQuery(req.URL.RawQuery)
	out := &query{values: values}
	if err != nil {
		out.addError("", "", "it cannot be read: %v", err)
	}
	return out
}

func (q *query) addError(name, hint, format string, args ...any) {
	path := "query"
	if name != "" {
		path += "." + name
	}
	q.errors = append(q.errors, FieldError{Path: path, Message: fmt.Sprintf(format, args...), Hint: hint})
}

func (q *query) text(name string) string {
	if q.values == nil {
		return ""
	}
	q.known = append(q.known, name)
	values := q.values[name]
	if len(values) > 1 {
		q.addError(name, "give it once", "it is given %d times", len(values))
	}
	if len(values) == 0 {
		return ""
	}
	return values[0]
}

func (q *query) flag(name string) bool {
	text := q.text(name)
	b, err := strconv.ParseBool(text)
	if text != "" && err != nil {
		q.addError(name, "write true or false", "expected true or false, got %q", text)
	}
	return b
}

func (q *query) number(name string, lo, hi int) int {
	text := q.text(name)
	if text == "" {
		return 0
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < lo || n > hi {
		q.addError(name, "", "expected a whole number from %d to %d, got %q", lo, hi, text)
	}
	return n
}

func (q *query) time(name string) time.Time {
	text := q.text(name)
	if text == "" {
		return time.Time{}
	}
	// A plus that was not escaped arrives as a space.
	t, err := time.Parse(time.RFC3339Nano, strings.Replace(text, " ", "+", 1))
	if err != nil {
		q.addError(name, "write it as 2026-01-31T09:00:00Z", "%q is not a time", text)
	}
	return t
}

// wait reads how long to wait for a run's end, cut to a limit.
func (q *query) wait(limit time.Duration) time.Duration {
	text := q.text("wait")
	if text == "" {
		return 0
	}
	d, err := schema.ParseDuration(text)
	if err != nil || d < 0 {
		q.addError("wait", "write it as 30s", "%q is not a duration", text)
	}
	return min(d, limit)
}

// err returns the collected errors. Parameters that were not read by then are unknown ones.
func (q *query) err() error {
	for name := range q.values {
		if !slices.Contains(q.known, name) {
			q.addError(name, diag.DidYouMean(name, "parameters", q.known), "there is no such parameter")
		}
	}
	if len(q.errors) == 0 {
		return nil
	}
	return invalidRequest("the query is wrong", q.errors...)
}
