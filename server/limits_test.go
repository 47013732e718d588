package server_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"facteur/flow/host"
	"facteur/server"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestABodyIsBounded(t *testing.T) {
	d := newDaemon(t, func(o *server.Options) { o.MaxBody = 100 })
	long := `{"inputs": {"name": "` + strings.Repeat("x", 100) + `"}}`
	p := d.refused("POST", "/v1/flows/hello/runs", long)
	assert.Equal(t, server.TooLarge, p.Kind())
	assert.Equal(t, "the body is larger than 100 bytes", p.Detail)

	// One that does not say how long it is.
	req := httptest.NewRequest("POST", "http://127.0.0.1/v1/flows/hello/runs", struct{ io.Reader }{strings.NewReader(long)})
	req.Header.Set("Content-Type", "application/json")
	resp := d.send(req)
	assert.Equal(t, 413, resp.Code)
	assert.Equal(t, "close", resp.Header().Get("Connection"))

	deep := strings.Repeat("[", 40) + strings.Repeat("]", 40)
	d = newDaemon(t)
	assert.Equal(t, server.BadRequest, d.refused("POST", "/v1/flows/hello/runs", `{"inputs": `+deep+deep+`}`).Kind())
	deep = strings.Repeat("[", 100_000)
	p = d.refused("POST", "/v1/flows/hello/runs", `{"inputs": `+deep+`}`)
	assert.Equal(t, "the body is not JSON: line 1, column 75: objects and lists are nested more than 64 deep", p.Detail)
}

func TestABodyThatBreaksOff(t *testing.T) {
	d := newDaemon(t)
	req := httptest.NewRequest("POST", "http://127.0.0.1/v1/flows/hello/runs", io.MultiReader(strings.NewReader(`{"inp`), broken{}))
	req.Header.Set("Content-Type", "application/json")
	assert.Equal(t, 400, d.send(req).Code)
}

type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, errors.New("it broke off") }

// A blocking host keeps everybody waiting.
type blocking struct {
	host.Host
	entered, leave chan struct{}
}

func (b *blocking) Holds(context.Context) ([]host.Hold, error) {
	b.entered <- struct{}{}
	<-b.leave
	return nil, nil
}

func TestRequestsAreBounded(t *testing.T) {
	b := &blocking{newFakeHost(), make(chan struct{}), make(chan struct{})}
	d := newDaemon(t, func(o *server.Options) { o.Host, o.MaxRequests = b, 3 })
	var group sync.WaitGroup
	for range 3 {
		group.Go(func() { assert.Equal(t, 200, d.do("GET", "/v1/holds", "").Code) })
		<-b.entered
	}
	resp := d.do("GET", "/v1/flows", "")
	assert.Equal(t, 503, resp.Code)
	assert.Equal(t, "1", resp.Header().Get("Retry-After"))
	assert.Equal(t, server.Busy, decode[server.Problem](t, resp).Kind())
	assert.Equal(t, 200, d.do("GET", "/healthz", "").Code, "one that is busy is healthy")
	close(b.leave)
	group.Wait()
	assert.Equal(t, 200, d.do("GET", "/v1/flows", "").Code)
}

// A panicking host has a fault.
type panicking struct{ host.Host }

func (panicking) Holds(context.Context) ([]host.Hold, error) { panic("about +33612345678") }

func TestAPanicIsAProblem(t *testing.T) {
	d := newDaemon(t, func(o *server.Options) { o.Host, o.MaxRequests = panicking{newFakeHost()}, 1 })
	p := d.refused("GET", "/v1/holds", "")
	assert.Equal(t, server.Internal, p.Kind())
	assert.NotContains(t, d.log.String(), "33612345678", "what was panicked with may hold what people wrote")
	assert.Contains(t, d.log.String(), "limits_test.go", "where it was")
	assert.Equal(t, 200, d.do("GET", "/v1/flows", "").Code, "its place is free again")
}

// pipes is a listener whose connections are in memory, so that time can be a bubble's.
type pipes struct {
	conns chan net.Conn
	ended chan struct{}
	once  sync.Once
}

func newPipes() *pipes { return &pipes{conns: make(chan net.Conn), ended: make(chan struct{})} }

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.ended:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error { p.once.Do(func() { close(p.ended) }); return nil }

func (p *pipes) Addr() net.Addr { return &net.TCPAddr{} }

func (p *pipes) dial() net.Conn {
	here, there := net.Pipe()
	p.conns <- there
	return here
}

// serving serves a handler in a bubble until the test's function returns.
func serving(t *testing.T, h http.Handler, f func(t *testing.T, p *pipes)) {
	synctest.Test(t, func(t *testing.T) {
		p := newPipes()
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- server.Serve(ctx, p, h, server.ServeOptions{}) }()
		f(t, p)
		stop()
		assert.NoError(t, <-done)
	})
}

func answerOf(t *testing.T, c net.Conn) (*http.Response, string) {
	t.Helper()
	resp, err := http.ReadResponse(bufio.NewReader(c), nil)
	require.NoError(t, err)
	body, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	return resp, string(body)
}

func TestAClientThatSendsItsBodyOneByteASecondIsCut(t *testing.T) {
	d := newDaemon(t)
	serving(t, d.handler, func(t *testing.T, p *pipes) {
		c := p.dial()
		defer c.Close()
		before := time.Now()
		var sending sync.WaitGroup
		defer sending.Wait()
		sending.Go(func() {
			fmt.Fprintf(c, "POST /v1/flows/hello/runs HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n{")
			for {
				time.Sleep(time.Second) // of the bubble
				if _, err := c.Write([]byte(" ")); err != nil {
					return
				}
			}
		})
		resp, body := answerOf(t, c)
		assert.Equal(t, 408, resp.StatusCode)
		assert.Contains(t, body, server.TooSlow)
		assert.True(t, resp.Close)
		assert.Equal(t, 15*time.Second, time.Since(before))
		_, err := c.Read(make([]byte, 1))
		assert.Error(t, err, "the connection is closed")
	})
}

// A client may send its header first, and its body when it is asked for it.
func TestWhatIsRefusedIsNotAskedForItsBody(t *testing.T) {
	serving(t, newDaemon(t).handler, func(t *testing.T, p *pipes) {
		ask := func(flow string) (net.Conn, *bufio.Reader) {
			c := p.dial()
			fmt.Fprintf(c, "POST /v1/flows/%s/runs HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n", flow)
			return c, bufio.NewReader(c)
		}
		before := time.Now()
		c, in := ask("none")
		defer c.Close()
		resp, err := http.ReadResponse(in, nil)
		require.NoError(t, err)
		_, err = io.Copy(io.Discard, resp.Body)
		require.NoError(t, err)
		assert.Equal(t, 404, resp.StatusCode)
		assert.Zero(t, time.Since(before), "it is told at once")

		c, in = ask("hello")
		defer c.Close()
		line, err := in.ReadString('\n')
		require.NoError(t, err)
		assert.Contains(t, line, "100 Continue")
		_, err = in.ReadString('\n')
		require.NoError(t, err)
		fmt.Fprint(c, "{}")
		resp, err = http.ReadResponse(in, nil)
		require.NoError(t, err)
		_, err = io.Copy(io.Discard, resp.Body)
		require.NoError(t, err)
		assert.Equal(t, 201, resp.StatusCode)
	})
}

// A proxy sends all of a body before it reads the answer, and asks for the connection to be
// closed: an answer that comes early must not be lost in that.
func TestWhatIsRefusedIsReadToItsEnd(t *testing.T) {
	d := newDaemon(t)
	for _, path := range []string{"/v1/flows/hello/runs", "/v1/flows/none/runs", "/none", "/healthz"} {
		serving(t, d.handler, func(t *testing.T, p *pipes) {
			c := p.dial()
			defer c.Close()
			fmt.Fprintf(c, "POST %s HTTP/1.0\r\nHost: localhost\r\nConnection: close\r\nContent-Length: %d\r\n\r\n", path, 3<<20)
			_, err := c.Write(make([]byte, 3<<20))
			require.NoError(t, err, path)
			resp, body := answerOf(t, c)
			assert.Contains(t, []int{404, 405, 413}, resp.StatusCode, path)
			assert.Contains(t, body, "urn:facteur:problem", path)
		})
	}
}

// What is odd beneath the API is answered as its description says.
func TestWhatIsNoProperRequest(t *testing.T) {
	const host = "Host: localhost\r\nConnection: close\r\n"
	for _, c := range []struct {
		request, kind string
		status        int
	}{
		{"GET /v1/flows HTTP/1.1\r\n" + host + "X-Long: " + strings.Repeat("x", 40<<10) + "\r\n\r\n", "text/plain; charset=utf-8", 431},
		{"GET /v1/runs/% HTTP/1.1\r\n" + host + "\r\n", "text/plain; charset=utf-8", 400},
		{"GET /v1/flows HTTP/1.1\r\nConnection: close\r\n\r\n", "text/plain; charset=utf-8", 400},
		{"POST /v1/pause HTTP/1.1\r\n" + host + "Transfer-Encoding: gzip, chunked\r\n\r\n", "text/plain; charset=utf-8", 501},
		{"POST /v1/pause HTTP/1.1\r\n" + host + "Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", "application/problem+json", 400},
		{"GET /v1//flows HTTP/1.1\r\n" + host + "\r\n", "text/html; charset=utf-8", 307},
		{"GET /v1/%2e%2e/healthz HTTP/1.1\r\n" + host + "\r\n", "application/problem+json", 404},
		{"GET /v1/runs/a%2Fb HTTP/1.1\r\n" + host + "\r\n", "application/problem+json", 404},
		{"OPTIONS /v1/runs HTTP/1.1\r\n" + host + "\r\n", "application/problem+json", 405},
		{"POST /v1/runs HTTP/1.1\r\n" + host + "X-HTTP-Method-Override: GET\r\nContent-Length: 0\r\n\r\n", "application/problem+json", 405},
	} {
		t.Run(strings.TrimSpace(c.request[:min(len(c.request), 30)]), func(t *testing.T) {
			serving(t, newDaemon(t).handler, func(t *testing.T, p *pipes) {
				conn := p.dial()
				defer conn.Close()
				go fmt.Fprint(conn, c.request)
				resp, _ := answerOf(t, conn)
				assert.Equal(t, c.status, resp.StatusCode)
				assert.Equal(t, c.kind, resp.Header.Get("Content-Type"))
			})
		})
	}
}

func TestAClientThatSendsItsHeaderOneByteASecondIsCut(t *testing.T) {
	serving(t, newDaemon(t).handler, func(t *testing.T, p *pipes) {
		c := p.dial()
		defer c.Close()
		go io.Copy(io.Discard, c)
		before := time.Now()
		for {
			if _, err := c.Write([]byte("x")); err != nil {
				break
			}
			time.Sleep(time.Second) // of the bubble
		}
		assert.InDelta(t, 10, time.Since(before).Seconds(), 1)
	})
}

func TestAConnectionThatDoesNothingIsCut(t *testing.T) {
	serving(t, newDaemon(t).handler, func(t *testing.T, p *pipes) {
		c := p.dial()
		defer c.Close()
		fmt.Fprintf(c, "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
		resp, _ := answerOf(t, c)
		assert.Equal(t, 200, resp.StatusCode)
		before := time.Now()
		_, err := c.Read(make([]byte, 1))
		assert.ErrorIs(t, err, io.EOF)
		assert.Equal(t, 2*time.Minute, time.Since(before))
	})
}

func TestAWaitMayTakeLongerThanABody(t *testing.T) {
	d := newDaemon(t)
	serving(t, d.handler, func(t *testing.T, p *pipes) {
		c := p.dial()
		defer c.Close()
		before := time.Now()
		fmt.Fprintf(c, "POST /v1/flows/hello/runs?wait=50s HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}")
		resp, _ := answerOf(t, c)
		assert.Equal(t, 201, resp.StatusCode)
		assert.Equal(t, 50*time.Second, time.Since(before))
	})
}

func TestAWaitEndsWhenTheClientLeaves(t *testing.T) {
	d := newDaemon(t)
	serving(t, d.handler, func(t *testing.T, p *pipes) {
		c := p.dial()
		fmt.Fprintf(c, "POST /v1/flows/hello/runs?wait=50s HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}")
		<-d.host.waits
		c.Close()
		synctest.Wait()
		assert.Contains(t, d.log.String(), "request", "it was answered, for what that is worth")
	})
}

func TestServeLetsRequestsFinish(t *testing.T) {
	for _, took := range []time.Duration{5 * time.Second, time.Minute} {
		synctest.Test(t, func(t *testing.T) {
			p := newPipes()
			ctx, stop := context.WithCancel(t.Context())
			slow := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				stop()
				select {
				case <-time.After(took):
					fmt.Fprint(w, "done")
				case <-r.Context().Done():
				}
			})
			done := make(chan error)
			go func() { done <- server.Serve(ctx, p, slow, server.ServeOptions{Drain: 30 * time.Second}) }()
			c := p.dial()
			defer c.Close()
			go fmt.Fprintf(c, "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
			if took < 30*time.Second {
				_, body := answerOf(t, c)
				assert.Equal(t, "done", body)
				assert.NoError(t, <-done)
				return
			}
			assert.ErrorContains(t, <-done, "requests were cut off")
			_, err := http.ReadResponse(bufio.NewReader(c), nil)
			assert.Error(t, err)
		})
	}
}

// A stop does not wait for those that connected and asked nothing, nor for those that ask
// no more.
func TestServeStopsWithSilentConnections(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPipes()
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- server.Serve(ctx, p, newDaemon(t).handler, server.ServeOptions{}) }()
		silent, idle := p.dial(), p.dial()
		defer silent.Close()
		defer idle.Close()
		fmt.Fprintf(idle, "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
		resp, _ := answerOf(t, idle)
		assert.Equal(t, 200, resp.StatusCode)
		synctest.Wait()
		stop()
		before := time.Now()
		assert.NoError(t, <-done)
		assert.Less(t, time.Since(before), 100*time.Millisecond) // of the bubble
		for _, c := range []net.Conn{silent, idle} {
			_, err := c.Read(make([]byte, 1))
			assert.ErrorIs(t, err, io.EOF)
		}
	})
}

func TestServeSaysWhyItCannot(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, l.Close())
	assert.Error(t, server.Serve(t.Context(), l, newDaemon(t).handler, server.ServeOptions{}))
}
