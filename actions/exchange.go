package actions

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"facteur/flow/call"
)

// An Answer is a server's whole response.
type Answer struct {
	Status int // 0: no answer came
	Header http.Header
	Body   []byte
}

// Exchange sends one request, by the Do of a client or the RoundTrip of a transport, and
// reads the whole answer, of at most most bytes. Its context is ctx, whatever that of the
// request is. Its error is a *Failure: Failed when the request surely did not reach the
// server, Cancelled when it was called off before that, and Unknown in all other cases;
// Answer then holds what did come, such as the status of an answer that was cut. No error
// holds an address beyond the host, a header or a body.
//
// A RoundTripper that never sends anything may say so by returning a *Failure, or an
// error with a method NotSent() bool.
func Exchange(ctx context.Context, send func(*http.Request) (*http.Response, error), req *http.Request, most int64) (Answer, error) {
	if err := checkRequest(req); err != nil {
		return Answer{}, err
	}
	var p requestTrace
	ctx = p.trace(ctx)
	resp, err := send(p.preventRetry(req.WithContext(ctx)))
	if err != nil {
		return Answer{}, sendFailure(ctx, hostOf(req.URL), &p, err)
	}
	defer resp.Body.Close()
	body, length := decompressed(resp)
	a := Answer{Status: resp.StatusCode, Header: resp.Header}
	a.Body, err = readAll(body, length, most)
	if err == nil {
		return a, nil
	}
	host := hostOf(req.URL)
	switch {
	case errors.Is(err, errTooLong):
		err = badAnswer(&a, err, "answer_too_long", fmt.Sprintf("the answer of %s (status %d) is longer than %s", host, a.Status, size(most)))
	case ctx.Err() != nil:
		f := sendFailure(ctx, host, &p, err)
		f.Err.StatusCode = int64(a.Status)
		err = f
	default:
		err = badAnswer(&a, err, "answer_cut", fmt.Sprintf("the answer of %s (status %d) broke off after %d bytes", host, a.Status, len(a.Body)))
	}
	return a, err
}

// hostOf names the server of an address for people: with its port, if it is not the scheme's.
func hostOf(u *url.URL) string {
	if port := u.Port(); port == "" || u.Scheme == "http" && port == "80" || u.Scheme == "https" && port == "443" {
		return u.Hostname()
	}
	return u.Host
}

func badAnswer(a *Answer, cause error, code, message string) error {
	return &Failure{Status: call.Unknown, Cause: cause, Final: errors.Is(cause, errTooLong),
		Err: &call.Error{Code: code, Class: "answer", Message: message, StatusCode: int64(a.Status)}}
}

// sendFailure classifies an error that came instead of an answer.
func sendFailure(ctx context.Context, host string, p *requestTrace, err error) *Failure {
	var f *Failure
	if errors.As(err, &f) {
		if f.Status == call.Failed && p.wrote.Load() { // a redirect led to the failure
			f = &Failure{Status: call.Unknown, Err: f.Err, Cause: err, Final: true}
		}
		return f
	}
	never := p.unsent() || neverSent(err) && !p.wrote.Load()
	f = &Failure{Status: call.Unknown, Cause: err}
	switch canceled := errors.Is(ctx.Err(), context.Canceled); {
	case canceled && never:
		f.Status = call.Cancelled
		f.Err = networkError("cancelled", "cancelled before the request to "+host+" was sent", "")
	case canceled:
		f.Err = networkError("cancelled", "cancelled while "+host+" was asked, so whether the request was carried out is not known", "")
	case ctx.Err() != nil && never:
		f.Status, f.Retryable = call.Failed, true
		f.Err = networkError("timeout", "no connection to "+host+" within the time-out", "check the network, or give the step a longer timeout")
	case ctx.Err() != nil:
		f.Err = networkError("timeout", "no answer from "+host+" within the time-out, so whether the request was carried out is not known", "give the step a longer timeout")
	case never:
		f.Status, f.Retryable = call.Failed, !notSent(err)
		f.Err = explain(host, err, never)
	default:
		f.Err = explain(host, err, never)
	}
	return f
}

// decompressed returns the body of an answer, and its length, -1 if that is not known. A transport
// decompresses what it asked for itself; this is for servers and proxies that compress although the
// request has its own Accept-Encoding.
func decompressed(resp *http.Response) (io.Reader, int64) {
	if !strings.EqualFold(resp.Header.Get("Content-Encoding"), "gzip") {
		return resp.Body, resp.ContentLength
	}
	resp.Header.Del("Content-Encoding")
	resp.Header.Del("Content-Length")
	z, err := gzip.NewReader(resp.Body)
	if err != nil { // io.EOF: there is no body, as to HEAD
		return errorReader{err}, -1
	}
	return z, -1
}

type errorReader struct{ err error }

func (f errorReader) Read([]byte) (int, error) { return 0, f.err }

var errTooLong = errors.New("too long")

func readAll(r io.Reader, length, most int64) ([]byte, error) {
	if length > most {
		return nil, errTooLong
	}
	if length < 0 {
		length = bytes.MinRead
	}
	b := make([]byte, 0, length+1) // one byte more than there should be, to see the end
	for {
		n, err := r.Read(b[len(b):min(int64(cap(b)), most+1)])
		b = b[:len(b)+n]
		switch {
		case int64(len(b)) > most:
			return nil, errTooLong
		case err == io.EOF:
			return b, nil
		case err != nil:
			return b, err
		case len(b) == cap(b):
			b = slices.Grow(b, len(b))
		}
	}
}

func size(n int64) string {
	if n >= 1<<20 && n%(1<<20) == 0 {
		return strconv.FormatInt(n>>20, 10) + " MiB"
	}
	return strconv.FormatInt(n, 10) + " bytes"
}

// RetryAfter reads the header of that name: seconds, or a date, which counts from the
// answer's own Date. ok is false when there is none that makes sense. The longest is a day.
func RetryAfter(h http.Header) (d time.Duration, ok bool) {
	const longest = 24 * time.Hour
	text := strings.TrimSpace(h.Get("Retry-After"))
	if seconds, err := strconv.ParseInt(text, 10, 64); err == nil && seconds >= 0 {
		return time.Duration(min(seconds, int64(longest/time.Second))) * time.Second, true
	}
	at, err := http.ParseTime(text)
	if err != nil {
		return 0, false
	}
	now, err := http.ParseTime(h.Get("Date"))
	if err != nil {
		now = time.Now()
	}
	return min(max(at.Sub(now), 0), longest), true
}
