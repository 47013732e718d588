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

// An api is Meta's, as the account of a connection asks it.
type api struct {
	client  *http.Client
	account whatsapp.Account
}

var errAddress = errors.New("base_url of the connection is not the address of an API")

// A refusal is the API's error.
type refusal struct {
	said graph.Error
	wait time.Duration // that it asks for
}

func (e *refusal) Error() string { return e.said.Summary() }

// A stranger is something else that answers in place of the API.
type stranger struct{ status int }

func (e *stranger) Error() string {
	return fmt.Sprintf("something else answers in place of the API (status %d)", e.status)
}

// maxAnswer is more than any answer of the API, but pages of templates.
const maxAnswer = 1 << 20

// ask sends a request with a JSON body, nil for none, and reads an answer of so many bytes at the
// most. Its error is errAddress, a *refusal, a *stranger, or why there was no answer.
func (a *api) ask(ctx context.Context, method, path string, body []byte, most int64) (v schema.Value, err error) {
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
		return v, &refusal{e, graph.RetryAfter(answer.Header)}
	}
	if answer.Status != http.StatusOK || said == nil {
		return v, &stranger{answer.Status}
	}
	return schema.NewValue(said, nil), nil
}

// help is what can be done about a request that was not answered.
func help(err error, otherwise string) string {
	if told, ok := errors.AsType[*call.Error](err); ok {
		if text, ok := told.Details["help"].(string); ok {
			return text
		}
	}
	return otherwise
}
