package actions_test

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/tls"
	"encoding/binary"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"facteur/actions"
	"facteur/flow/call"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// resetting is a server of HTTP/2 that reads each request to its end and then resets its
// stream with a code. It counts the requests.
func resetting(t *testing.T, code uint32) (*http.Client, string, *atomic.Int64) {
	base := httptest.NewUnstartedServer(nil)
	base.StartTLS()
	t.Cleanup(base.Close)
	l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: base.TLS.Certificates, NextProtos: []string{"h2"}})
	require.NoError(t, err)
	t.Cleanup(func() { l.Close() })
	var requests atomic.Int64
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				serveResets(c, code, &requests)
			}()
		}
	}()
	client := base.Client()
	client.Transport.(*http.Transport).ForceAttemptHTTP2 = true
	return client, "https://" + l.Addr().String(), &requests
}

func serveResets(c net.Conn, code uint32, requests *atomic.Int64) {
	const headers, data, settings, reset, endOfStream = 1, 0, 4, 3, 1
	r := bufio.NewReader(c)
	if _, err := io.CopyN(io.Discard, r, int64(len("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"))); err != nil {
		return
	}
	_, _ = c.Write([]byte{0, 0, 0, settings, 0, 0, 0, 0, 0})
	for {
		var head [9]byte
		if _, err := io.ReadFull(r, head[:]); err != nil {
			return
		}
		length := int64(head[0])<<16 | int64(head[1])<<8 | int64(head[2])
		if _, err := io.CopyN(io.Discard, r, length); err != nil {
			return
		}
		if kind := head[3]; (kind == headers || kind == data) && head[4]&endOfStream != 0 {
			requests.Add(1)
			answer := []byte{0, 0, 4, reset, 0}
			answer = append(answer, head[5:9]...)
			_, _ = c.Write(binary.BigEndian.AppendUint32(answer, code))
		}
	}
}

func TestNoTransportMakesARequestTwice(t *testing.T) {
	const protocolError = 1
	client, url, requests := resetting(t, protocolError)
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	_, f := exchange(t, ctx, client, url)
	require.NotNil(t, f)
	assert.Equal(t, call.Unknown, f.Status)
	assert.EqualValues(t, 1, requests.Load(), "the transport repeats what it takes for unprocessed")
}

// A header that promises that nothing is done twice is the author's word to the server, and
// none to the transport: it would repeat what it lost the connection with.
func TestNoHeaderMakesATransportRepeat(t *testing.T) {
	for _, name := range []string{"Idempotency-Key", "X-Idempotency-Key"} {
		for _, body := range []io.Reader{nil, strings.NewReader("{}")} {
			var keys []string
			s := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				if _, _ = io.Copy(io.Discard, r.Body); r.Method == http.MethodPost {
					keys = append(keys, r.Header.Get(name))
					panic(http.ErrAbortHandler)
				}
			}))
			transport := actions.Transport()
			first, err := http.NewRequest(http.MethodGet, s.URL, nil) // its connection is used again
			require.NoError(t, err)
			_, err = actions.Exchange(t.Context(), transport.RoundTrip, first, 1<<20)
			require.NoError(t, err)
			second, err := http.NewRequest(http.MethodPost, s.URL, body)
			require.NoError(t, err)
			second.Header.Set(name, "k")
			_, err = actions.Exchange(t.Context(), transport.RoundTrip, second, 1<<20)
			f, ok := err.(*actions.Failure)
			require.True(t, ok)
			assert.Equal(t, call.Unknown, f.Status)
			s.Close()
			assert.Equal(t, []string{"k"}, keys)
			assert.Equal(t, "k", second.Header.Get(name), "the caller's own request stays as it is")
		}
	}
}

func TestTransport(t *testing.T) {
	var protocols []string
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { protocols = append(protocols, r.Proto) }))
	s.EnableHTTP2 = true
	s.StartTLS()
	defer s.Close()
	transport := actions.Transport()
	transport.TLSClientConfig = s.Client().Transport.(*http.Transport).TLSClientConfig.Clone()
	transport.TLSClientConfig.NextProtos = nil
	_, f := exchange(t, context.Background(), &http.Client{Transport: transport}, s.URL)
	require.Nil(t, f)
	assert.Equal(t, []string{"HTTP/1.1"}, protocols)
}

func TestARequestThatNoTransportTakes(t *testing.T) {
	s := httptest.NewServer(http.NotFoundHandler())
	defer s.Close()
	for name, change := range map[string]func(*http.Request){
		"a line break in a header": func(r *http.Request) { r.Header["Authorization"] = []string{"Bearer hush\n"} },
		"no host":                  func(r *http.Request) { r.URL.Host = "" },
		"another scheme":           func(r *http.Request) { r.URL.Scheme = "ftp" },
	} {
		t.Run(name, func(t *testing.T) {
			req, err := http.NewRequest(http.MethodPost, s.URL, strings.NewReader("{}"))
			require.NoError(t, err)
			change(req)
			_, err = actions.Exchange(t.Context(), s.Client().Do, req, 1<<20)
			f, ok := err.(*actions.Failure)
			require.True(t, ok)
			assert.Equal(t, call.Failed, f.Status)
			assert.False(t, f.Retryable)
			assert.NotContains(t, f.Error(), "hush")
			assert.NotEmpty(t, f.Err.Details["help"])
		})
	}
}

// A server or a proxy may pack what was not asked for.
func TestAnAnswerThatIsPackedUnasked(t *testing.T) {
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	_, _ = z.Write([]byte("packed"))
	_ = z.Close()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Encoding", "GZIP")
		body := packed.Bytes()
		switch r.URL.Path {
		case "/cut":
			body = body[:len(body)-10]
		case "/not":
			body = []byte("plain")
		}
		_, _ = w.Write(body)
	}))
	defer s.Close()
	for _, c := range []struct{ name, method, path, body, code string }{
		{"whole", "GET", "/", "packed", ""},
		{"no body", "HEAD", "/", "", ""},
		{"cut", "GET", "/cut", "", "answer_cut"},
		{"not packed at all", "GET", "/not", "", "answer_cut"},
	} {
		t.Run(c.name, func(t *testing.T) {
			req, err := http.NewRequest(c.method, s.URL+c.path, nil)
			require.NoError(t, err)
			req.Header.Set("Accept-Encoding", "identity")
			answer, err := actions.Exchange(t.Context(), s.Client().Do, req, 1<<20)
			if c.code == "" {
				require.NoError(t, err)
				assert.Equal(t, c.body, string(answer.Body))
				assert.Empty(t, answer.Header.Get("Content-Encoding"))
				return
			}
			f, ok := err.(*actions.Failure)
			require.True(t, ok)
			assert.Equal(t, c.code, f.Err.Code)
		})
	}
}

func TestAnAnswerThatUnpacksToMuch(t *testing.T) {
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	_, _ = z.Write(make([]byte, 64<<20))
	_ = z.Close()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Encoding", "gzip")
		_, _ = w.Write(packed.Bytes())
	}))
	defer s.Close()
	_, f := exchange(t, context.Background(), s.Client(), s.URL)
	require.NotNil(t, f)
	assert.Equal(t, call.Unknown, f.Status)
	assert.Equal(t, "answer_too_long", f.Err.Code)
}
