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

// object reads the body of a request: a JSON object of a type. No body is an empty one.
func (a *api) object(q *ask, t *schema.Type) (map[string]any, error) {
	b := buffers.Get().(*bytes.Buffer)
	defer putBuffer(b)
	if q.ContentLength > a.MaxBody {
		return nil, a.tooLarge()
	}
	if encoding := q.Header.Get("Content-Encoding"); encoding != "" && !strings.EqualFold(encoding, "identity") {
		return nil, problem(NotJSON, "send it as it is, without Content-Encoding", "the body is compressed: %q", encoding)
	}
	if _, err := b.ReadFrom(io.LimitReader(q.Body, a.MaxBody+1)); err != nil {
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return nil, problem(TooSlow, "send it at once", "the body did not arrive in time")
		}
		return nil, problem(BadRequest, "", "the body could not be read: %v", err)
	}
	if int64(b.Len()) > a.MaxBody {
		return nil, a.tooLarge()
	}
	var v any = map[string]any{}
	if text := b.Bytes(); len(bytes.TrimSpace(text)) > 0 {
		if !isJSON(q.Header) {
			return nil, problem(NotJSON, "send JSON, with the header Content-Type: application/json", "the body is of the type %q", q.Header.Get("Content-Type"))
		}
		var err error
		if v, err = schema.ReadJSON(text); err != nil {
			return nil, problem(BadRequest, "", "the body is not JSON: %v", err)
		}
	}
	v, found := t.Coerce(v)
	if p := invalid("", "the body is wrong", found); p != nil {
		return nil, p
	}
	object, _ := v.(map[string]any)
	return object, nil
}

// with answers a request by what its body says.
func with[T any](answer func(a *api, q *ask, body T) (reply, error)) func(*api, *ask) (reply, error) {
	t := schema.Of[T]()
	return func(a *api, q *ask) (reply, error) {
		var body T
		object, err := a.object(q, t)
		if err == nil {
			err = schema.Decode(object, &body)
		}
		if err != nil {
			return reply{}, err
		}
		return answer(a, q, body)
	}
}

func (a *api) tooLarge() *Problem {
	return problem(TooLarge, "send less at once", "the body is larger than %d bytes", a.MaxBody)
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

// A query reads the parameters of a request, and collects what is wrong with them.
type query struct {
	values url.Values
	known  []string
	errors []FieldError
}

func newQuery(q *ask) *query {
	if q.URL.RawQuery == "" {
		return &query{}
	}
	values, err := url.ParseQuery(q.URL.RawQuery)
	out := &query{values: values}
	if err != nil {
		out.wrong("", "", "it cannot be read: %v", err)
	}
	return out
}

func (q *query) wrong(name, hint, format string, args ...any) {
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
		q.wrong(name, "give it once", "it is given %d times", len(values))
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
		q.wrong(name, "write true or false", "expected true or false, got %q", text)
	}
	return b
}

func (q *query) number(name string, least, most int) int {
	text := q.text(name)
	if text == "" {
		return 0
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < least || n > most {
		q.wrong(name, "", "expected a whole number from %d to %d, got %q", least, most, text)
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
		q.wrong(name, "write it as 2026-01-31T09:00:00Z", "%q is no time", text)
	}
	return t
}

// wait reads how long to wait for a run's end, at most so long.
func (q *query) wait(most time.Duration) time.Duration {
	text := q.text("wait")
	if text == "" {
		return 0
	}
	d, err := schema.ParseDuration(text)
	if err != nil || d < 0 {
		q.wrong("wait", "write it as 30s", "%q is no duration", text)
	}
	return min(d, most)
}

// err is what is wrong, once everything was read.
func (q *query) err() error {
	for name := range q.values {
		if !slices.Contains(q.known, name) {
			q.wrong(name, diag.DidYouMean(name, "parameters", q.known), "there is no such parameter")
		}
	}
	if len(q.errors) == 0 {
		return nil
	}
	return wrong("the query is wrong", q.errors...)
}
