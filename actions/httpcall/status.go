package httpcall

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"facteur/actions"
	"facteur/flow/call"
)

// setAnswer fills in what an answer holds.
func (o *Output) setAnswer(a actions.Answer) {
	o.StatusCode = int64(a.Status)
	for name, values := range a.Header {
		o.Headers[strings.ToLower(name)] = strings.Join(values, ", ")
	}
	o.Text = strings.ToValidUTF8(string(a.Body), "\uFFFD")
	if actions.IsJSON(a.Header.Get("Content-Type")) {
		o.JSON, _ = actions.DecodeJSON(a.Body)
	}
}

// checkStatus says what a status means.
func checkStatus(ctx context.Context, a actions.Answer, expected []int64, withConnection bool, host string) error {
	if len(expected) > 0 && slices.Contains(expected, int64(a.Status)) || len(expected) == 0 && a.Status < 400 {
		return nil
	}
	e := &call.Error{Code: "http_status", Class: "permanent", StatusCode: int64(a.Status),
		Message: fmt.Sprintf("%s answered %s", host, strings.TrimSpace(fmt.Sprintf("%d %s", a.Status, http.StatusText(a.Status))))}
	if a.Status < 400 {
		e.Message += ", which expect_status does not list"
	}
	c := actions.CallOf(ctx)
	wait, _ := actions.RetryAfter(a.Header)
	switch a.Status {
	case http.StatusTooManyRequests, http.StatusServiceUnavailable:
		e.Class = "transient"
		return actions.After(wait, e)
	case http.StatusInternalServerError, http.StatusBadGateway, http.StatusGatewayTimeout:
		e.Class = "transient"
		if c.Idempotent || idempotent(c.Input) {
			return actions.After(wait, e)
		}
	case http.StatusUnauthorized:
		e.Class = "auth"
		if withConnection {
			return actions.AuthError(e)
		}
	}
	return actions.Permanent(e)
}

// statuses reads expect_status: a status or a list of them.
func statuses(v any) ([]int64, error) {
	list, ok := v.([]any)
	switch {
	case v == nil:
		return nil, nil
	case !ok:
		list = []any{v}
	}
	out := make([]int64, 0, len(list))
	for _, item := range list {
		n, ok := item.(int64)
		if f, isFloat := item.(float64); isFloat && f == float64(int64(f)) {
			n, ok = int64(f), true
		}
		if !ok || n < 100 || n > 599 {
			return nil, errors.New("give a status such as 200, or a list of them: [200, 404]")
		}
		out = append(out, n)
	}
	if len(out) == 0 {
		return nil, errors.New("the list is empty")
	}
	return out, nil
}
