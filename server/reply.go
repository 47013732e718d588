package server

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"sync"
)

var (
	typeJSON    = []string{"application/json"}
	typeProblem = []string{"application/problem+json"}
)

// errGone says that an answer could not be sent: whoever asked has left.
var errGone = errors.New("whoever asked has left")

var buffers = sync.Pool{New: func() any { return new(bytes.Buffer) }}

// mostKept bounds the buffers that are kept for later.
const mostKept = 64 << 10

func putBuffer(b *bytes.Buffer) {
	if b.Cap() <= mostKept {
		b.Reset()
		buffers.Put(b)
	}
}

// write sends a reply. An error other than errGone means that nothing was sent.
func (q *ask) write(out reply) error {
	if out.status == 0 {
		return nil
	}
	h := q.w.Header()
	if out.location != "" {
		h["Location"] = []string{out.location}
	}
	if out.body == nil {
		q.w.WriteHeader(out.status)
		return nil
	}
	b := buffers.Get().(*bytes.Buffer)
	defer putBuffer(b)
	e := json.NewEncoder(b)
	e.SetEscapeHTML(false)
	if err := e.Encode(out.body); err != nil {
		return err
	}
	h["Content-Type"] = typeJSON
	if _, ok := out.body.(*Problem); ok {
		h["Content-Type"] = typeProblem
	}
	h["Content-Length"] = []string{strconv.Itoa(b.Len())}
	q.w.WriteHeader(out.status)
	if q.Method == http.MethodHead {
		return nil
	}
	if _, err := q.w.Write(b.Bytes()); err != nil {
		return errGone
	}
	return nil
}
