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

// errClientGone says that an answer could not be sent because the client has disconnected.
var errClientGone = errors.New("the client has disconnected")

var buffers = sync.Pool{New: func() any { return new(bytes.Buffer) }}

// maxPooledBuffer bounds the buffers that go back into the pool, in bytes.
const maxPooledBuffer = 64 << 10

func putBuffer(b *bytes.Buffer) {
	if b.Cap() <= maxPooledBuffer {
		b.Reset()
		buffers.Put(b)
	}
}

// write sends a reply. An error other than errClientGone means that nothing was sent.
func (req *request) write(out reply) error {
	if out.status == 0 {
		return nil
	}
	h := req.w.Header()
	if out.location != "" {
		h["Location"] = []string{out.location}
	}
	if out.body == nil {
		req.w.WriteHeader(out.status)
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
	req.w.WriteHeader(out.status)
	if req.Method == http.MethodHead {
		return nil
	}
	if _, err := req.w.Write(b.Bytes()); err != nil {
		return errClientGone
	}
	return nil
}

// encode writes the body of a reply as JSON.
func encode(b *bytes.Buffer, body any) error {
	if s, ok := body.(*Started); ok && s.EndedAt.IsZero() && s.Outputs == nil && s.Error == nil {
		b.Write(s.appendJSON(b.AvailableBuffer()))
		return nil
	}
	e := json.NewEncoder(b)
	e.SetEscapeHTML(false)
	return e.Encode(body)
}

// appendJSON appends a run that goes on, just as its tags say. Most replies are one, and
// encoding/json would cost as much as reading the request.
func (s *Started) appendJSON(b []byte) []byte {
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
