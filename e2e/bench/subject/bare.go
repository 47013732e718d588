package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"

	"facteur/actions"
	"facteur/e2e/bench/child"
)

// bare only sends the requests: the upper limit of any variant on this machine.
func bare(s child.Setup) (*child.Subject, error) {
	p := newPoster(s)
	return &child.Subject{Do: func(n int) error {
		_, err := p.post(context.Background(), s.Sender(n), s.Recipient(n), "f1."+rand.Text()+".1")
		return err
	}}, nil
}

// A poster sends messages with minimal code: the same bytes over the same transport as the
// action.
type poster struct {
	client *http.Client
	api    string
}

func newPoster(s child.Setup) *poster {
	return &poster{&http.Client{Transport: actions.Transport()}, s.API + "/" + child.Version + "/"}
}

// post sends one and returns its id.
func (p *poster) post(ctx context.Context, sender, recipient, key string) (id string, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, p.api+sender+"/messages", strings.NewReader(fmt.Sprintf(child.Body, recipient, key)))
	if err != nil {
		return "", err
	}
	req.Header.Set("Authorization", "Bearer "+child.Token)
	req.Header.Set("Content-Type", "application/json")
	resp, err := p.client.Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	var answer struct{ Messages []struct{ ID string } }
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil {
		return "", err
	}
	if resp.StatusCode != http.StatusOK || len(answer.Messages) != 1 {
		return "", fmt.Errorf("the message was refused with %d", resp.StatusCode)
	}
	return answer.Messages[0].ID, nil
}
