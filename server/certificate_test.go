package server_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"facteur/server"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// writeCert writes a certificate for a name, and its key, with a time of change.
func writeCert(t *testing.T, dir, name string, at time.Time) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	require.NoError(t, err)
	private, err := x509.MarshalPKCS8PrivateKey(key)
	require.NoError(t, err)
	for file, block := range map[string]*pem.Block{"cert.pem": {Type: "CERTIFICATE", Bytes: cert}, "key.pem": {Type: "PRIVATE KEY", Bytes: private}} {
		path := filepath.Join(dir, file)
		require.NoError(t, os.WriteFile(path, pem.EncodeToMemory(block), 0o600))
		require.NoError(t, os.Chtimes(path, at, at))
	}
}

func TestACertificateIsReplacedWithoutAStop(t *testing.T) {
	dir := t.TempDir()
	writeCert(t, dir, "first.test", began)
	log := &bytes.Buffer{}
	files, err := server.LoadCert(filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem"), slog.New(slog.NewTextHandler(log, nil)))
	require.NoError(t, err)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	ctx, stop := context.WithCancel(t.Context())
	served := make(chan error)
	go func() { served <- server.Serve(ctx, l, newDaemon(t).handler, server.ServeOptions{TLS: files}) }()

	name := func() string {
		t.Helper()
		transport := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, ForceAttemptHTTP2: true}
		defer transport.CloseIdleConnections()
		resp, err := (&http.Client{Transport: transport}).Get("https://" + l.Addr().String() + "/healthz")
		require.NoError(t, err)
		defer resp.Body.Close()
		assert.Equal(t, 200, resp.StatusCode)
		assert.Equal(t, 2, resp.ProtoMajor)
		return resp.TLS.PeerCertificates[0].DNSNames[0]
	}
	assert.Equal(t, "first.test", name())
	writeCert(t, dir, "second.test", began.Add(time.Minute))
	assert.Equal(t, "second.test", name())

	require.NoError(t, os.WriteFile(filepath.Join(dir, "key.pem"), []byte("half a key"), 0o600))
	assert.Equal(t, "second.test", name())
	assert.Contains(t, log.String(), "the old one stays")
	require.NoError(t, os.Remove(filepath.Join(dir, "key.pem")))
	assert.Equal(t, "second.test", name())
	writeCert(t, dir, "third.test", began.Add(2*time.Minute))
	assert.Equal(t, "third.test", name())
	stop()
	assert.NoError(t, <-served)
}

func TestCertificatesThatCannotBeUsed(t *testing.T) {
	dir := t.TempDir()
	_, err := server.LoadCert(filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem"), slog.New(slog.DiscardHandler))
	assert.ErrorContains(t, err, "cert.pem")
	writeCert(t, dir, "first.test", began)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "key.pem"), []byte("no key"), 0o600))
	_, err = server.LoadCert(filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem"), slog.New(slog.DiscardHandler))
	assert.ErrorContains(t, err, "the certificate in ")
}
