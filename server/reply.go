package server

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"sync"
	"time"

	"facteur/flow/schema"
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
	if err := encode(b, out.body); err != nil {
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

// encode writes the body of a reply as JSON.
func encode(b *bytes.Buffer, body any) error {
	if s, ok := body.(*Started); ok && s.EndedAt.IsZero() && s.Outputs == nil && s.Error == nil {
		b.Write(s.append(b.AvailableBuffer()))
		return nil
	}
	e := json.NewEncoder(b)
	e.SetEscapeHTML(false)
	return e.Encode(body)
}

// append appends a run that goes on, in the form that its tags say: most replies are one, and
// encoding/json would spend as much on it as it takes to read the request.
func (s *Started) append(b []byte) []byte {
	b = schema.AppendText(append(b, `{"run_id":`...), s.RunID)
	b = schema.AppendText(append(b, `,"flow":`...), s.Flow)
	b = schema.AppendText(append(b, `,"digest":`...), s.Digest)
	b = schema.AppendText(append(b, `,"status":`...), string(s.Status))
	b = schema.AppendText(append(b, `,"by":`...), s.By)
	b = s.StartedAt.AppendFormat(append(b, `,"started_at":"`...), time.RFC3339Nano)
	b = strconv.AppendInt(append(b, `","unknown":`...), int64(s.Unknown), 10)
	b = strconv.AppendBool(append(b, `,"repeated":`...), s.Repeated)
	return append(b, '}', '\n')
}
