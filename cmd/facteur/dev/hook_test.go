package dev_test

import (
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"facteur/vault"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestHook: who tries a webhook without its connection is told what to do, and need not
// start anew after it.
func TestHook(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "facteur.yaml"), "")
	write(t, filepath.Join(dir, "order.flow.yaml"), `flow: order
inputs: {id: {type: string}}
triggers:
  - webhook: {path: /orders, connection: orders_hook, dedupe: "${event.body.id}", inputs: {id: "${event.body.id}"}}
steps:
  - {id: a, set: {x: "${inputs.id}"}}
`)
	d := developingIn(t, dir)
	postTo := func(path, authorization string) (int, string) {
		req, err := http.NewRequest(http.MethodPost, d.url+path, strings.NewReader(`{"id": "7"}`))
		require.NoError(t, err)
		req.Header.Set("Authorization", authorization)
		resp, err := d.client.Do(req)
		require.NoError(t, err)
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		return resp.StatusCode, strings.ReplaceAll(string(body), `\"`, `"`)
	}
	post := func(authorization string) (int, string) { return postTo("/hooks/orders", authorization) }
	// Somebody writes before anything was sent to anybody.
	resp, err := d.client.Post(d.phone+"/_simulator/messages", "application/json", strings.NewReader(`{"from": "+33612345678", "text": "bonjour"}`))
	require.NoError(t, err)
	defer resp.Body.Close()
	assert.Equal(t, http.StatusOK, resp.StatusCode)

	status, answer := postTo("/hooks/order", "")
	assert.Equal(t, http.StatusNotFound, status)
	assert.Contains(t, answer, "flows accept webhooks at /orders")

	status, answer = post("")
	assert.Equal(t, http.StatusServiceUnavailable, status)
	assert.Contains(t, answer, `there is no connection "orders_hook": store its secret with "facteur vault set orders_hook --app WEBHOOK"`)
	assert.Contains(t, answer, "set FACTEUR_CONNECTION_ORDERS_HOOK_APP=WEBHOOK and FACTEUR_CONNECTION_ORDERS_HOOK_SECRET")

	v, err := vault.New(vault.Config{Dir: filepath.Join(dir, "data")})
	require.NoError(t, err)
	require.NoError(t, v.Set(t.Context(), "orders_hook", vault.Webhook, map[string]string{"type": "shared"}, map[string]vault.Secret{"secret": vault.NewSecret("what-both-know")}))
	status, answer = post("")
	assert.Equal(t, http.StatusUnauthorized, status)
	assert.Contains(t, answer, "Authorization must contain the secret of orders_hook")
	for range 2 {
		status, answer = post("Bearer what-both-know")
		assert.Equal(t, http.StatusAccepted, status, answer)
	}
	d.log.Wait(t, `a trigger started no run: a run with the same dedupe value`)
}
