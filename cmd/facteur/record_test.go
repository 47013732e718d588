package main

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Recording sends for real, once. The recording then replaces the API, and contains no secret in
// any encoding that the server echoes.
func TestRecord(t *testing.T) {
	const token = "EAAG+/token=0123456789abcdef"
	sent := 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		sent++
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("X-Token", token)
		fmt.Fprint(w, `{"messages":[{"id":"wamid.REAL"}]`)
		for shift := range 3 {
			fmt.Fprintf(w, `,"base64 %d":%q`, shift, base64.StdEncoding.EncodeToString([]byte("xx"[:shift]+token+"tail")))
		}
		fmt.Fprintf(w, `,"hex":"%x","url":%q,"bearer":%q}`, token, url.QueryEscape(token), r.Header.Get("Authorization"))
	}))
	defer server.Close()
	dir := shopProject(t, sends, server.URL)
	t.Setenv("FACTEUR_CONNECTION_SHOP_TOKEN", token)
	write(t, filepath.Join(dir, "sends.test.yaml"), "flow: sends\ncases:\n  - name: it goes out\n    recording: real.yaml\n    expect: {outputs: {status_code: 200}}\n")

	code, stdout, stderr := facteur(t, dir, "", "test", ".", "--record")
	require.Equal(t, 0, code, stdout+stderr)
	assert.Equal(t, 1, sent)
	text, err := os.ReadFile(filepath.Join(dir, "real.yaml"))
	require.NoError(t, err)
	assert.Contains(t, string(text), "wamid.REAL")
	for how, form := range formsOf(token) {
		assert.NotContains(t, string(text)+stdout+stderr, form, how)
	}

	code, stdout, stderr = facteur(t, dir, "", "test", ".")
	assert.Equal(t, 0, code, stdout+stderr)
	assert.Equal(t, 1, sent, "nothing is sent any more")

	// A case that names no recording has nowhere to write.
	write(t, filepath.Join(dir, "sends.test.yaml"), "flow: sends\ncases:\n  - {name: nowhere}\n")
	code, stdout, _ = facteur(t, dir, "", "test", ".", "--record")
	assert.Equal(t, exitFailed, code)
	assert.Contains(t, stdout, "the case names no recording to write")
	assert.Equal(t, 1, sent)
}

// While recording, too, http.request reaches only the addresses that the project allows.
func TestRecordKeepsThePolicy(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("it was asked") }))
	defer server.Close()
	dir := t.TempDir()
	write(t, filepath.Join(dir, "asks.flow.yaml"), "flow: asks\nsteps:\n  - {id: ask, action: http.request, with: {url: \""+server.URL+"\"}}\n")
	write(t, filepath.Join(dir, "asks.test.yaml"), "flow: asks\ncases:\n  - {name: it asks, recording: real.yaml}\n")
	code, stdout, _ := facteur(t, dir, "", "test", ".", "--record")
	assert.Equal(t, exitFailed, code)
	assert.Contains(t, stdout, "127.0.0.1 is not called: its address is private")
}
