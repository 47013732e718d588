package account

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"facteur/actions"
	"facteur/actions/whatsapp"
	"facteur/actions/whatsapp/graph"
	"facteur/flow/call"
	"facteur/flow/schema"
)

// An api is a client of Meta's API with the credentials of a connection.
type api struct {
	client  *http.Client
	account whatsapp.Account
}

var errAddress = errors.New("the connection's base_url is not the address of an API")

// A apiError is the API's error.
type apiError struct {
	cause graph.Error
	wait  time.Duration // that it asks for
}

func (e *apiError) Error() string { return e.cause.Summary() }

// A unexpectedServer is something else that answers in place of the API.
type unexpectedServer struct{ status int }

func (e *unexpectedServer) Error() string {
	return fmt.Sprintf("something other than the API answers (status %d)", e.status)
}

// maxResponse is more than any answer of the API, but pages of templates.
const maxResponse = 1 << 20

// do sends a request with a JSON body, nil for none, and reads an answer of so many bytes at the
// most. Its error is errAddress, a *refusal, a *stranger, or why there was no answer.
func (a *api) do(ctx context.Context, method, path string, body []byte, most int64) (v schema.Value, err error) {
	ctx, stop := context.WithTimeout(ctx, actions.DefaultTimeout)
	defer stop()
	req, err := http.NewRequestWithContext(ctx, method, a.account.BaseURL+"/"+a.account.Version+path, bytes.NewReader(body))
	if err != nil {
		return v, errAddress
	}
	req.Header.Set("Authorization", "Bearer "+a.account.Token.Reveal())
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	answer, err := actions.Exchange(ctx, a.client.Do, req, most)
	if err != nil {
		return v, err
	}
	said, _ := actions.DecodeJSON(answer.Body)
	if e, ok := graph.ReadError(said); ok {
		e.Status = answer.Status
		return v, &apiError{e, graph.RetryAfter(answer.Header)}
	}
	if answer.Status != http.StatusOK || said == nil {
		return v, &unexpectedServer{answer.Status}
	}
	return schema.NewValue(said, nil), nil
}

// help returns what can be done about an error of do.
func help(err error, otherwise string) string {
	if told, ok := errors.AsType[*call.Error](err); ok {
		if text, ok := told.Details["help"].(string); ok {
			return text
		}
	}
	return otherwise
}
