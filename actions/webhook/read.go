package webhook

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"sync/atomic"
	"time"
)

// DefaultTimeout is how long a sender may take for a body, unless Reader has another timeout.
const DefaultTimeout = 20 * time.Second

// A Refusal says why a request is not accepted, and with which status to answer.
type Refusal struct {
	Status int
	Reason string // for who sent it
	Err    error  // the cause, for our own log; nil: there is none
}

func (e *Refusal) Error() string {
	if e.Err == nil {
		return e.Reason
	}
	return e.Reason + ": " + e.Err.Error()
}

// Unwrap returns the cause.
func (e *Refusal) Unwrap() error { return e.Err }

// A Reader reads the bodies of requests. The zero value with Most is ready to use. It is safe for
// concurrent use.
type Reader struct {
	Most    int64         // bytes of one body
	Timeout time.Duration // how long one may take; 0: DefaultTimeout

	long atomic.Int64 // bytes that those beyond short may come to take, which come now
}

const (
	short    = 64 << 10 // bytes of a body that is always read
	mostLong = 64 << 20 // bytes of longer ones at the same time: who they are from shows at their end
)

// Read reads the body of a request byte by byte as it was signed. Its error is a *Refusal.
func (b *Reader) Read(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	if encoding := r.Header.Get("Content-Encoding"); encoding != "" && !strings.EqualFold(encoding, "identity") {
		return nil, &Refusal{Status: http.StatusUnsupportedMediaType, Reason: "the body is compressed; send it uncompressed"}
	}
	if r.ContentLength > b.Most {
		return nil, b.tooLong()
	}
	timeout := cmp.Or(b.Timeout, DefaultTimeout)
	connection := http.NewResponseController(w)
	limited := connection.SetReadDeadline(time.Now().Add(timeout)) == nil
	body, err := b.readBody(http.MaxBytesReader(w, r.Body, b.Most), r.ContentLength)
	if limited && err == nil { // else it would end what is done about the request
		err = connection.SetReadDeadline(time.Time{})
	}
	var refusal *Refusal
	var long *http.MaxBytesError
	switch {
	case err == nil:
		return body, nil
	case errors.As(err, &refusal):
		return nil, err
	case errors.As(err, &long):
		return nil, b.tooLong()
	case errors.Is(err, os.ErrDeadlineExceeded):
		return nil, &Refusal{Status: http.StatusRequestTimeout, Reason: fmt.Sprintf("the body did not arrive within %s", timeout)}
	}
	return nil, &Refusal{Status: http.StatusBadRequest, Reason: "the body was cut off", Err: err}
}

// readBody reads a body that says how long it is; less than 0: it does not.
func (b *Reader) readBody(from io.Reader, says int64) ([]byte, error) {
	var body bytes.Buffer
	body.Grow(int(min(max(says, 0), short)) + bytes.MinRead) // what it says it has may never come
	switch _, err := io.CopyN(&body, from, short); {
	case err == io.EOF:
		return body.Bytes(), nil
	case err != nil:
		return nil, err
	}
	if says < 0 {
		says = b.Most
	}
	defer b.long.Add(-says)
	if b.long.Add(says) > mostLong {
		return nil, &Refusal{Status: http.StatusServiceUnavailable, Reason: "too many long bodies are arriving at the same time; send it again"}
	}
	_, err := body.ReadFrom(from)
	return body.Bytes(), err
}

func (b *Reader) tooLong() *Refusal {
	return &Refusal{Status: http.StatusRequestEntityTooLarge, Reason: fmt.Sprintf("the body is longer than %d bytes", b.Most)}
}
