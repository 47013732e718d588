package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"facteur/actions/whatsapp/simulator"
	"facteur/server"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The first interrupt lets a call finish; the second cuts it off, and the next start records its
// outcome as unknown.
func TestSecondInterruptOfDaemon(t *testing.T) {
	dir, api := simulated(t, "", sendsHello)
	require.NoError(t, api.AddFault(simulator.Fault{Do: "hang", Times: 1}))
	r := startTestDaemon(t, dir, nil)
	started, err := r.client.Start(t.Context(), "hello", server.StartRequest{Inputs: map[string]any{"phone": grace}}, server.StartOption{})
	require.NoError(t, err)
	require.Eventually(t, func() bool { return api.Counts().Accepted == 1 }, 10*time.Second, time.Millisecond)
	stopped := make(chan int)
	go func() { stopped <- r.stop() }()
	r.log.Wait(t, "stopping: calls in progress finish")
	r.cut()
	assert.Equal(t, 0, <-stopped)
	assert.Contains(t, r.log.String(), "cutting off calls in progress")

	r = startTestDaemon(t, dir, nil)
	d, err := r.client.Run(t.Context(), started.RunID, 0)
	require.NoError(t, err)
	assert.Equal(t, 1, d.Unknown, "%+v", d.Steps)
	assert.Equal(t, 1, api.Counts().Accepted, "it is not sent again")
}

// readyz reports a vault file that cannot be read, for as long as it cannot; a missing connection
// does not affect readiness.
func TestReadyWithTheVault(t *testing.T) {
	dir, api := simulated(t, "", "flow: books\nsteps:\n  - {id: ask, action: http.request, connection: books, with: {url: /books}}\n")
	r := startTestDaemon(t, dir, api)
	becomes := func(want bool, problem string) {
		t.Helper()
		require.Eventually(t, func() bool { // what was found stands for a second
			got, err := r.client.Ready(t.Context())
			require.NoError(t, err)
			return got.Ready == want && strings.Contains(fmt.Sprint(got.Checks), problem)
		}, 20*time.Second, 50*time.Millisecond)
	}
	becomes(true, "")
	file := filepath.Join(dir, "data", "vault.age")
	write(t, file, "half of it")
	becomes(false, "damaged")
	require.NoError(t, os.Remove(file))
	becomes(true, "")
}

// With --log-format json each line on standard error is JSON, including the reason why the daemon
// exits.
func TestLogLinesAreJSON(t *testing.T) {
	dir, api := simulated(t, "", sendsHello)
	r := startTestDaemon(t, dir, api)
	refused := func(want string) {
		t.Helper()
		code, _, stderr := facteur(t, dir, "", "serve", "--listen", "127.0.0.1:0", "--log-format", "json")
		assert.NotZero(t, code)
		assert.Contains(t, stderr, want)
		for line := range strings.Lines(stderr) {
			assert.True(t, json.Valid([]byte(line)), line)
		}
	}
	refused("is already using the data folder")
	r.stop()
	write(t, filepath.Join(dir, "broken.flow.yaml"), "flow: broken\nsteps:\n  - {set: {x: \"${inputs.phon}\"}}\n")
	refused("phon")
}

// The daemon notifies systemd when it is ready, and when it stops.
func TestNotify(t *testing.T) {
	path := filepath.Join(t.TempDir(), "n")
	if len(path) > 100 {
		t.Skip("the path of the temporary folder is too long for a socket")
	}
	socket, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	require.NoError(t, err)
	defer socket.Close()
	t.Setenv("NOTIFY_SOCKET", path)
	dir, api := simulated(t, "", sendsHello)
	r := startTestDaemon(t, dir, api)
	heard := func() string {
		text := make([]byte, 100)
		n, err := socket.Read(text)
		require.NoError(t, err)
		return string(text[:n])
	}
	assert.Equal(t, "READY=1", heard())
	r.stop()
	assert.Equal(t, "STOPPING=1", heard())
}

// With a certificate it speaks TLS, and nothing else.
func TestServeTLS(t *testing.T) {
	dir, _ := simulated(t, "", sendsHello)
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "facteur.test"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	require.NoError(t, err)
	private, err := x509.MarshalPKCS8PrivateKey(key)
	require.NoError(t, err)
	cert, keyFile := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	write(t, cert, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})))
	write(t, keyFile, string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})))
	r := startTestDaemon(t, dir, nil, "--tls-cert", cert, "--tls-key", keyFile)
	require.Regexp(t, `^https://`, r.url)
	trusted := x509.NewCertPool()
	parsed, err := x509.ParseCertificate(der)
	require.NoError(t, err)
	trusted.AddCert(parsed)
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: trusted}}}
	resp, err := client.Get(r.url + "/healthz")
	require.NoError(t, err)
	body, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	assert.JSONEq(t, `{"status": "ok"}`, string(body))
	code, _, stderr := facteur(t, dir, "", "runs", "list")
	assert.Equal(t, 0, code, stderr)
}
