package simulator

import (
	"cmp"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"time"
)

// apiError is what a fault answers that does not accept; nil where it answers nothing.
func (f *Fault) apiError() *apiError {
	if f.Do != Error {
		return &apiError{}
	}
	r := newAPIError(f.Code, "")
	if f.Subcode != 0 {
		r.subcode = f.Subcode
	}
	return r
}

// hangTime is how long a request hangs unless the client or Close ends it.
const hangTime = 365 * 24 * time.Hour

// applyFault answers as a fault wants it. answer is nil where the message was not accepted.
func (s *Simulator) applyFault(g *graphCall, f *Fault, answer []byte) *apiError {
	if d, ok := f.Delay.or(0); ok && d > 0 && f.Do != Late && !s.wait(g.r.Context(), d) {
		panic(http.ErrAbortHandler)
	}
	switch f.Do {
	case Error:
		return f.apiError()
	case Drop:
		panic(http.ErrAbortHandler)
	case Hang:
		s.wait(g.r.Context(), hangTime)
		panic(http.ErrAbortHandler)
	case Reset:
		reset(g.w)
	case Status:
		g.gatewayError(f)
	case Truncate:
		h := g.header()
		h.Set("Content-Length", strconv.Itoa(len(answer)))
		_, _ = g.w.Write(answer[:len(answer)/2])
		_ = http.NewResponseController(g.w).Flush()
		panic(http.ErrAbortHandler)
	default:
		return s.answerText(g, answer)
	}
	return nil
}

// reset breaks the connection so that the other side sees a reset.
func reset(w http.ResponseWriter) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	_ = conn.Close()
}

// gatewayError answers as what stands before the API does when it fails.
func (g *graphCall) gatewayError(f *Fault) {
	status := cmp.Or(f.Status, http.StatusBadGateway)
	body := cmp.Or(f.Body, fmt.Sprintf("<!DOCTYPE html>\n<html><head><title>%[1]d %[2]s</title></head><body><h1>%[1]d %[2]s</h1></body></html>\n", status, http.StatusText(status)))
	h := g.w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Date", time.Now().UTC().Format(http.TimeFormat))
	g.w.WriteHeader(status)
	_, _ = g.w.Write([]byte(body))
}

// failRequest lets a fault of a request that sends nothing happen; done says that the request
// has been answered.
func (s *Simulator) failRequest(g *graphCall, f *Fault) (done bool, err *apiError) {
	if f == nil {
		return false, nil
	}
	switch f.Do {
	case Error, Drop, Hang, Reset, Status:
	case Truncate:
		f = &Fault{Do: Drop}
	case Delay:
		if d, _ := f.Delay.or(0); !s.wait(g.r.Context(), d) {
			panic(http.ErrAbortHandler)
		}
		return false, nil
	default:
		return false, nil
	}
	return true, s.applyFault(g, f, nil)
}
