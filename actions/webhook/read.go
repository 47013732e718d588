package webhook

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
	"time"
)

// Patience is how long a sender may take for a body, unless somebody says otherwise.
const Patience = 20 * time.Second

// A Refusal says why a request is not taken, and with which status to answer.
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

// Read reads the body of a request byte by byte as it was signed: at most most bytes, in
// at most that much time (0: Patience). Its error is a *Refusal.
func Read(w http.ResponseWriter, r *http.Request, most int64, patience time.Duration) ([]byte, error) {
	if encoding := r.Header.Get("Content-Encoding"); encoding != "" && !strings.EqualFold(encoding, "identity") {
		return nil, &Refusal{Status: http.StatusUnsupportedMediaType, Reason: "the body is compressed; send it as it is"}
	}
	if r.ContentLength > most {
		return nil, tooLong(most)
	}
	if patience == 0 {
		patience = Patience
	}
	connection := http.NewResponseController(w)
	limited := connection.SetReadDeadline(time.Now().Add(patience)) == nil
	var b bytes.Buffer
	b.Grow(int(min(max(r.ContentLength, 0), 64<<10)) + bytes.MinRead) // what it says it has may never come
	_, err := b.ReadFrom(http.MaxBytesReader(w, r.Body, most))
	if limited && err == nil { // else it would end what is done about the request
		err = connection.SetReadDeadline(time.Time{})
	}
	var long *http.MaxBytesError
	switch {
	case err == nil:
		return b.Bytes(), nil
	case errors.As(err, &long):
		return nil, tooLong(most)
	case errors.Is(err, os.ErrDeadlineExceeded):
		return nil, &Refusal{Status: http.StatusRequestTimeout, Reason: fmt.Sprintf("the body did not come within %s", patience)}
	}
	return nil, &Refusal{Status: http.StatusBadRequest, Reason: "the body broke off", Err: err}
}

func tooLong(most int64) *Refusal {
	return &Refusal{Status: http.StatusRequestEntityTooLarge, Reason: fmt.Sprintf("the body is longer than %d bytes", most)}
}
