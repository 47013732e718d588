package actions_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"facteur/actions"
	"facteur/flow/call"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func exchange(t *testing.T, ctx context.Context, client *http.Client, url string) (actions.Answer, *actions.Failure) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url+"/send?access_token=hush", strings.NewReader(`{"a":1}`))
	require.NoError(t, err)
	a, err := actions.Exchange(ctx, client.Do, req, 1<<20)
	if err == nil {
		return a, nil
	}
	f, ok := err.(*actions.Failure)
	require.True(t, ok, "%T", err)
	assert.NotContains(t, f.Error(), "hush")
	assert.NotContains(t, f.Error(), "/send")
	return a, f
}

// raw is a server that talks as it likes: it gets each connection after the request's
// head and body were read.
func raw(t *testing.T, talk func(net.Conn)) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				req, err := http.ReadRequest(bufio.NewReader(c))
				if err == nil {
					_, _ = io.Copy(io.Discard, req.Body)
					talk(c)
				}
			}()
		}
	}()
	return "http://" + l.Addr().String()
}

func TestExchange(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "hello") }))
	defer s.Close()
	a, f := exchange(t, context.Background(), s.Client(), s.URL)
	require.Nil(t, f)
	assert.Equal(t, 200, a.Status)
	assert.Equal(t, "hello", string(a.Body))
}

func TestExchangeThatSurelyWasNotSent(t *testing.T) {
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	closed.Close()
	secure := httptest.NewUnstartedServer(http.NotFoundHandler())
	secure.Config.ErrorLog = log.New(io.Discard, "", 0)
	secure.StartTLS()
	defer secure.Close()
	plain := httptest.NewServer(http.NotFoundHandler())
	defer plain.Close()
	resolver := func(notFound bool) *http.Client {
		return &http.Client{Transport: &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) {
			return nil, &net.OpError{Op: "dial", Net: "tcp", Err: &net.DNSError{Err: "no such host", Name: "graph.test", IsNotFound: notFound}}
		}}}
	}
	badName := secure.Client()
	badName.Transport.(*http.Transport).TLSClientConfig.ServerName = "other.test"
	for _, tt := range []struct {
		name, url string
		client    *http.Client
		want      string
	}{
		{"no such host", "https://graph.test", resolver(true), "cannot reach graph.test: there is no host of that name"},
		{"no name server", "https://graph.test", resolver(false), "cannot reach graph.test: its name could not be looked up"},
		{"refused", "http://" + closed.Addr().String(), &http.Client{Transport: &http.Transport{}}, "cannot reach 127.0.0.1: the connection was refused"},
		{"unknown authority", secure.URL, &http.Client{Transport: &http.Transport{}}, "cannot trust 127.0.0.1: its certificate is signed by an unknown authority"},
		{"another name", secure.URL, badName, "cannot trust 127.0.0.1: its certificate is for another name"},
		{"no TLS there", strings.Replace(plain.URL, "http:", "https:", 1), &http.Client{Transport: &http.Transport{}}, "127.0.0.1 does not speak TLS there"},
		{"old TLS", secure.URL, &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true, MaxVersion: tls.VersionTLS10, MinVersion: tls.VersionTLS10}}}, "no secure connection to 127.0.0.1"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, f := exchange(t, context.Background(), tt.client, tt.url)
			assert.Equal(t, call.Failed, f.Status)
			assert.True(t, f.Retryable)
			assert.Equal(t, "network", f.Err.Class)
			server, err := url.Parse(tt.url)
			require.NoError(t, err)
			assert.Contains(t, f.Err.Message, strings.Replace(tt.want, "127.0.0.1", server.Host, 1))
			assert.NotEmpty(t, f.Err.Details["help"])
		})
	}
}

func TestExchangeThatMayHaveHappened(t *testing.T) {
	for _, tt := range []struct {
		name   string
		talk   func(net.Conn)
		code   string
		want   string
		status int
	}{
		{"no answer", func(net.Conn) {}, "network", "broke before an answer came", 0},
		{"reset", func(c net.Conn) { _ = c.(*net.TCPConn).SetLinger(0) }, "network", "broke before an answer came", 0},
		{"no HTTP", func(c net.Conn) { _, _ = io.WriteString(c, "what?\r\n\r\n") }, "network", "no answer from 127.0.0.1", 0},
		{"cut", func(c net.Conn) { _, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"mess") }, "answer_cut", "(status 200) broke off after 6 bytes", 200},
		{"too long", func(c net.Conn) {
			_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n"+strings.Repeat("x", 5<<20))
		}, "answer_too_long", "(status 200) is longer than 1 MiB", 200},
		{"said to be too long", func(c net.Conn) { _, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 5000000\r\n\r\n") }, "answer_too_long", "is longer than 1 MiB", 200},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a, f := exchange(t, context.Background(), &http.Client{Transport: &http.Transport{}}, raw(t, tt.talk))
			assert.Equal(t, call.Unknown, f.Status)
			assert.Equal(t, tt.code, f.Err.Code)
			assert.Contains(t, f.Err.Message, tt.want)
			assert.Equal(t, tt.status, a.Status)
			assert.Equal(t, int64(tt.status), f.Err.StatusCode)
		})
	}
}

func TestExchangeCalledOff(t *testing.T) {
	t.Run("while connecting", func(t *testing.T) {
		ctx, cancel := context.WithCancel(context.Background())
		client := &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			cancel()
			<-ctx.Done()
			return nil, ctx.Err()
		}}}
		_, f := exchange(t, ctx, client, "http://graph.test")
		assert.Equal(t, call.Cancelled, f.Status)
	})
	t.Run("time over while connecting", func(t *testing.T) {
		ctx, cancel := context.WithTimeout(context.Background(), time.Millisecond)
		defer cancel()
		client := &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		}}}
		_, f := exchange(t, ctx, client, "http://graph.test")
		assert.Equal(t, call.Failed, f.Status)
		assert.True(t, f.Retryable)
		assert.Equal(t, "timeout", f.Err.Code)
	})
	t.Run("after the request went out", func(t *testing.T) {
		ctx, cancel := context.WithCancel(context.Background())
		url := raw(t, func(c net.Conn) {
			cancel()
			_, _ = c.Read(make([]byte, 1))
		})
		_, f := exchange(t, ctx, &http.Client{Transport: &http.Transport{}}, url)
		assert.Equal(t, call.Unknown, f.Status)
		assert.Equal(t, "cancelled", f.Err.Code)
	})
}

// silent is a transport that reports nothing about its progress.
type silent struct{ err error }

func (s silent) RoundTrip(*http.Request) (*http.Response, error) { return nil, s.err }

type unsent struct{}

func (unsent) Error() string { return "no recorded exchange matches" }
func (unsent) NotSent() bool { return true }

func TestExchangeThroughOtherTransports(t *testing.T) {
	_, f := exchange(t, context.Background(), &http.Client{Transport: silent{io.ErrUnexpectedEOF}}, "http://graph.test")
	assert.Equal(t, call.Unknown, f.Status)
	_, f = exchange(t, context.Background(), &http.Client{Transport: silent{unsent{}}}, "http://graph.test")
	assert.Equal(t, call.Failed, f.Status)
	assert.False(t, f.Retryable)
	assert.Equal(t, "no recorded exchange matches", f.Err.Message)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_, f = exchange(t, ctx, &http.Client{Transport: silent{context.Canceled}}, "http://graph.test")
	assert.Equal(t, call.Unknown, f.Status, "a transport that reports nothing may have sent it")
}

func TestRetryAfter(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"7": 7 * time.Second, " 0 ": 0, "999999999999": 24 * time.Hour,
		"Sun, 22 Nov 2026 10:00:30 GMT": 30 * time.Second, "Sun, 22 Nov 2026 09:00:00 GMT": 0,
	} {
		h := http.Header{"Retry-After": {text}, "Date": {"Sun, 22 Nov 2026 10:00:00 GMT"}}
		got, ok := actions.RetryAfter(h)
		assert.True(t, ok, text)
		assert.Equal(t, want, got, text)
	}
	for _, text := range []string{"", "soon", "-1", "1.5"} {
		_, ok := actions.RetryAfter(http.Header{"Retry-After": {text}})
		assert.False(t, ok, text)
	}
}
