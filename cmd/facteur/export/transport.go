package export

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"syscall"
	"time"

	"facteur/flow/call"
	"facteur/flow/host"
	"facteur/flow/schema"
)

// A recordedCall is a call of the run that is replayed.
type recordedCall struct {
	*host.Call
	answered time.Time // zero: not known
	slow     bool      // an event came between the call and its answer
	requests int       // made by the replay so far
}

// A replayTransport replaces the network in a replay: it answers each request by the outcome of its
// call in the journal.
type replayTransport struct {
	sleep      func(context.Context, time.Duration) error
	anonymizer *anonymizer
	note       func(format string, args ...any)
}

type madeCallKey struct{}

// RoundTrip implements http.RoundTripper.
func (a *replayTransport) RoundTrip(req *http.Request) (*http.Response, error) {
	c, _ := req.Context().Value(madeCallKey{}).(*recordedCall)
	if c == nil {
		return nil, notReached(errors.New("the run did not make this call"))
	}
	c.requests++
	body, err := readAll(req.Body)
	if err != nil {
		return nil, err
	}
	if c.Outcome == nil {
		return nil, reset()
	}
	o := c.Outcome
	status, _ := o.Output["status_code"].(int64)
	if used, _ := o.Output["fallback_used"].(bool); used && c.requests == 1 && messageType(body) != "template" {
		return answer(req, http.StatusBadRequest, nil, graphError(131047, "Re-engagement message")), nil
	}
	timedOut := status == 0 && o.Status == call.Unknown && o.Error != nil && strings.Contains(o.Error.Message, "time-out")
	if took := c.answered.Sub(c.Taken); !timedOut && !c.answered.IsZero() && (c.slow || took >= time.Second) {
		if err := a.sleep(req.Context(), took.Truncate(time.Millisecond)); err != nil {
			return nil, err
		}
	}
	switch {
	case status != 0:
		return a.recorded(req, c, int(status)), nil
	case timedOut:
		_ = a.sleep(req.Context(), 365*24*time.Hour)
		return nil, &net.OpError{Op: "read", Net: "tcp", Err: os.ErrDeadlineExceeded}
	case o.Status == call.Unknown:
		return nil, reset()
	case o.Error != nil && o.Error.Code == "network" && o.Retryable:
		a.note("attempt %d of %s did not reach the server, which a recording cannot hold: a refusal that is tried again stands for it", c.Attempt, c.Step)
		return answer(req, http.StatusServiceUnavailable, nil, graphError(131016, "Service unavailable")), nil
	case o.Output["repeats"] != nil && o.Output["repeats"] != "":
		a.note("%s sent nothing, because another run had sent it before (once); in a test there is no other run", c.Step)
		return answer(req, http.StatusOK, nil, a.accepted(o.Output["repeats"])), nil
	case o.Error != nil:
		a.note("%s failed with %s before it made a request; in a test it makes one", c.Step, o.Error.Code)
		return nil, notReached(errors.New(o.Error.Code))
	}
	return nil, notReached(errors.New("nothing is known of this call"))
}

// recorded rebuilds the HTTP response from the outputs of a call.
func (a *replayTransport) recorded(req *http.Request, c *recordedCall, status int) *http.Response {
	out := a.anonymizer.object(c.Outcome.Output)
	if headers, ok := out["headers"].(map[string]any); ok { // http.request
		text, _ := out["text"].(string)
		return answer(req, status, headers, []byte(text))
	}
	if out["body"] == nil {
		// It was not the API's; its text was not stored.
		return answer(req, status, map[string]any{"content-type": "text/html"}, []byte("<html>an answer that is not the API's</html>"))
	}
	text, err := json.Marshal(schema.JSON(out["body"]))
	if err != nil {
		text = []byte("{}")
	}
	return answer(req, status, nil, text)
}

func (a *replayTransport) accepted(id any) []byte {
	text, _ := json.Marshal(map[string]any{"messaging_product": "whatsapp", "messages": []any{map[string]any{"id": a.anonymizer.value(id)}}})
	return text
}

func graphError(code int, message string) []byte {
	return fmt.Appendf(nil, `{"error":{"code":%d,"message":"(#%d) %s"}}`, code, code, message)
}

func answer(req *http.Request, status int, headers map[string]any, body []byte) *http.Response {
	h := http.Header{"Content-Type": {"application/json"}}
	for name, value := range headers {
		switch http.CanonicalHeaderKey(name) {
		case "Content-Type", "Retry-After", "Location":
			h.Set(name, fmt.Sprint(value))
		}
	}
	return &http.Response{
		StatusCode: status, Status: fmt.Sprintf("%d %s", status, http.StatusText(status)), Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: h, Body: io.NopCloser(bytes.NewReader(body)), ContentLength: int64(len(body)), Request: req,
	}
}

func messageType(body []byte) string {
	var message struct{ Type string }
	_ = json.Unmarshal(body, &message)
	return message.Type
}

func readAll(r io.ReadCloser) ([]byte, error) {
	if r == nil {
		return nil, nil
	}
	defer r.Close()
	return io.ReadAll(r)
}

func reset() error { return &net.OpError{Op: "read", Net: "tcp", Err: syscall.ECONNRESET} }

// notReached is the error of a request that was never sent: the recorder leaves it out.
func notReached(err error) error { return &net.OpError{Op: "dial", Net: "tcp", Err: err} }
