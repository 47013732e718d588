package simulator_test

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"facteur/actions/whatsapp/simulator"
	"facteur/benchtest"

	"github.com/stretchr/testify/require"
)

// bodies are what benchmarks send; %d is another number each time.
var bodies = []struct{ name, text string }{
	{"text", `{"messaging_product":"whatsapp","recipient_type":"individual","to":"+336%08d","type":"text","text":{"body":"Votre colis est parti."},"biz_opaque_callback_data":"f1.run.%[1]d"}`},
	{"template", `{"messaging_product":"whatsapp","recipient_type":"individual","to":"+336%08d","type":"template","template":{"name":"order_shipped","language":{"code":"fr"},"components":[{"type":"body","parameters":[{"type":"text","text":"Jeanne"},{"type":"text","text":"n° 7"}]}]},"biz_opaque_callback_data":"f1.run.%[1]d"}`},
	{"list", `{"messaging_product":"whatsapp","to":"+336%08d","type":"interactive","interactive":{"type":"list","body":{"text":"Quand ?"},"action":{"button":"Choisir","sections":[{"title":"Jours","rows":[{"id":"1","title":"Lundi"},{"id":"2","title":"Mardi"},{"id":"3","title":"Mercredi"}]}]}},"biz_opaque_callback_data":"f1.run.%[1]d"}`},
}

// BenchmarkHandler is one message without the network.
func BenchmarkHandler(b *testing.B) {
	for _, body := range bodies {
		b.Run(body.name, func(b *testing.B) {
			s, err := simulator.New(simulator.Options{Templates: approved(b)})
			require.NoError(b, err)
			defer s.Close()
			n := 0
			b.ReportAllocs()
			for b.Loop() {
				n++
				r := httptest.NewRequest(http.MethodPost, "/v23.0/"+phoneID+"/messages", strings.NewReader(fmt.Sprintf(body.text, n%100_000_000)))
				r.Header.Set("Authorization", "Bearer token-1")
				w := &discard{header: http.Header{}}
				s.ServeHTTP(w, r)
				if w.status != 0 {
					b.Fatal(w.status)
				}
			}
		})
	}
}

// BenchmarkFlood is one message that the tier refuses, after as many people as it allows.
func BenchmarkFlood(b *testing.B) {
	const people = 20_000
	scene := simulator.Scene{Limits: simulator.Limits{People: people}}
	s, err := simulator.New(simulator.Options{Clock: simulator.Frozen(start), Scene: scene})
	require.NoError(b, err)
	defer s.Close()
	send := func(n int) (status int) {
		r := httptest.NewRequest(http.MethodPost, messages, strings.NewReader(texts(person(n))))
		r.Header.Set("Authorization", "Bearer token-1")
		w := &discard{header: http.Header{}}
		s.ServeHTTP(w, r)
		return w.status
	}
	n := 0
	for ; n < people; n++ {
		require.Zero(b, send(n))
	}
	for b.Loop() {
		n++
		if status := send(n); status != http.StatusBadRequest {
			b.Fatal(status)
		}
	}
}

type discard struct {
	header http.Header
	status int
}

func (d *discard) Header() http.Header         { return d.header }
func (d *discard) Write(b []byte) (int, error) { return len(b), nil }
func (d *discard) WriteHeader(status int)      { d.status = status }

// BenchmarkHTTP is messages over loopback, from clients that do as little as they can.
// messages/s is what one process takes in, clients included; cpu-µs what it costs.
func BenchmarkHTTP(b *testing.B) {
	for _, body := range bodies {
		b.Run(body.name, func(b *testing.B) {
			s, err := simulator.New(simulator.Options{Templates: approved(b)})
			require.NoError(b, err)
			defer s.Close()
			l, err := net.Listen("tcp", "127.0.0.1:0")
			require.NoError(b, err)
			server := &http.Server{Handler: s}
			go func() { _ = server.Serve(l) }()
			defer server.Close()
			var n atomic.Int64
			before := benchtest.CPUTime()
			b.ReportAllocs()
			b.SetParallelism(32 / runtime.GOMAXPROCS(0))
			b.RunParallel(func(pb *testing.PB) {
				c := dial(b, l.Addr().String())
				defer c.Close()
				for pb.Next() {
					c.post(b, body.text, n.Add(1))
				}
			})
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "messages/s")
			b.ReportMetric(float64((benchtest.CPUTime()-before).Microseconds())/float64(b.N), "cpu-µs/message")
		})
	}
}

// a lean client writes a request and reads an answer, on one connection.
type lean struct {
	net.Conn
	in  *bufio.Reader
	out bytes.Buffer
}

func dial(t testing.TB, address string) *lean {
	c, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	return &lean{Conn: c, in: bufio.NewReader(c)}
}

func (l *lean) post(t testing.TB, format string, n int64) {
	body := fmt.Appendf(nil, format, n%100_000_000)
	l.out.Reset()
	l.out.WriteString("POST /v23.0/" + phoneID + "/messages HTTP/1.1\r\nHost: graph\r\nAuthorization: Bearer token-1\r\nContent-Type: application/json\r\nContent-Length: ")
	l.out.WriteString(strconv.Itoa(len(body)) + "\r\n\r\n")
	l.out.Write(body)
	if _, err := l.Write(l.out.Bytes()); err != nil {
		t.Error(err)
		return
	}
	length := 0
	for first := true; ; first = false {
		line, err := l.in.ReadSlice('\n')
		if err != nil {
			t.Error(err)
			return
		}
		if first && !bytes.HasPrefix(line, []byte("HTTP/1.1 200")) {
			t.Errorf("answer %s", line)
			return
		}
		if v, ok := bytes.CutPrefix(line, []byte("Content-Length: ")); ok {
			length, _ = strconv.Atoi(string(bytes.TrimSpace(v)))
		}
		if len(line) <= 2 {
			break
		}
	}
	if _, err := io.CopyN(io.Discard, l.in, int64(length)); err != nil {
		t.Error(err)
	}
}
