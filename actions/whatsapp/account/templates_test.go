package account_test

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"facteur/actions/whatsapp/account"
	"facteur/vault"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// stock is some templates.
var stock = func() (all []string) {
	for n := range 12 {
		all = append(all, fmt.Sprintf(`{"name":"plain_%d","language":"fr","status":"APPROVED","category":"UTILITY","components":[{"type":"BODY","text":"Bonjour {{1}}"}]}`, n))
	}
	return append(all, `{"name":"shipped","language":"fr","components":[{"type":"BODY","text":"Bonjour"}]}`, `{"name":"shipped","language":"en_US","components":[{"type":"BODY","text":"Hello"}]}`)
}()

// A shelf is an API that gives templates, page by page.
type shelf struct {
	*httptest.Server
	asked  []string
	answer func(after string, n int) (status int, header http.Header, body string)
}

func newShelf(t *testing.T, answer func(after string, n int) (int, http.Header, string)) *shelf {
	s := &shelf{answer: answer}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		q := r.URL.Query()
		s.asked = append(s.asked, q.Get("limit")+" "+q.Get("after"))
		assert.Equal(t, "/v23.0/102290129340398/message_templates", r.URL.Path)
		assert.Equal(t, "Bearer "+token, r.Header.Get("Authorization"))
		assert.Contains(t, q.Get("fields"), "components")
		status, header, body := s.answer(q.Get("after"), len(s.asked))
		maps.Copy(w.Header(), header)
		w.WriteHeader(status)
		_, _ = w.Write([]byte(body))
	}))
	t.Cleanup(s.Close)
	return s
}

func (s *shelf) connection() vault.Connection {
	c := connection(s.URL)
	c.Setup["waba_id"] = "102290129340398"
	return c
}

func pageOf(next string, items ...string) string {
	paging := `"cursors":{"before":"b","after":"` + next + `"}`
	if next != "" {
		paging += `,"next":"https://graph.test/next"`
	}
	return `{"data":[` + strings.Join(items, ",") + `],"paging":{` + paging + `}}`
}

func TestPullTemplates(t *testing.T) {
	pages := map[string]string{"": pageOf("p2", stock[:5]...), "p2": pageOf("p3", append(stock[4:9:9], `{"id":"1"}`)...), "p3": pageOf("", stock[9:]...)}
	s := newShelf(t, func(after string, _ int) (int, http.Header, string) { return 200, nil, pages[after] })
	pulled, err := account.PullTemplates(context.Background(), nil, s.connection())
	require.NoError(t, err)
	assert.Len(t, pulled.All(), len(stock), "one that came twice is there once, what is no template is not")
	assert.Equal(t, []string{"100 ", "100 p2", "100 p3"}, s.asked)
	for _, d := range pulled.All() {
		assert.NotEmpty(t, d.Connection)
	}
	assert.Len(t, pulled.Named("shipped"), 2)
	assert.Empty(t, pulled.Named("ship"))
}

func TestPullTemplatesAgain(t *testing.T) {
	for _, tt := range []struct {
		name   string
		answer func(after string, n int) (int, http.Header, string)
		asked  []string
		want   string // of the error
		hint   string
	}{
		{"a cursor expires", func(after string, n int) (int, http.Header, string) {
			switch {
			case n == 2:
				return 400, nil, refused(131059, "")
			case after == "":
				return 200, nil, pageOf("p2", stock[0])
			}
			return 200, nil, pageOf("", stock[1])
		}, []string{"100 ", "100 p2", "100 ", "100 p2"}, "", ""},
		{"a cursor always expires", func(after string, _ int) (int, http.Header, string) {
			if after != "" {
				return 400, nil, refused(131059, "")
			}
			return 200, nil, pageOf("p2", stock[0])
		}, []string{"100 ", "100 p2", "100 ", "100 p2", "100 ", "100 p2", "100 ", "100 p2"}, "(131059)", "start again"},
		{"pages too large", func(_ string, n int) (int, http.Header, string) {
			if n == 1 {
				return 500, nil, `{"error":{"code":1,"message":"Please reduce the amount of data you're asking for, then retry your request"}}`
			}
			return 200, nil, pageOf("", stock[0])
		}, []string{"100 ", "25 "}, "", ""},
		{"the same page again and again", func(string, int) (int, http.Header, string) { return 200, nil, pageOf("p2", stock[0]) }, []string{"100 ", "100 p2"}, "the same page", "later"},
		{"over the limit", func(string, int) (int, http.Header, string) {
			return 400, http.Header{"X-Business-Use-Case-Usage": {`{"1":[{"type":"whatsapp","call_count":100,"estimated_time_to_regain_access":15}]}`}}, refused(80007, "")
		}, []string{"100 "}, "(80007)", "wait 15m0s"},
		{"the wrong account", func(string, int) (int, http.Header, string) { return 400, nil, refused(100, `,"error_subcode":33`) }, []string{"100 "}, "(100)", "not the portfolio's"},
		{"a token that expired", func(string, int) (int, http.Header, string) { return 401, nil, refused(190, "") }, []string{"100 "}, "(190)", "create a token"},
		{"a proxy", func(string, int) (int, http.Header, string) { return 502, nil, "<html>" }, []string{"100 "}, "status 502", "any proxy"},
		{"no list", func(string, int) (int, http.Header, string) { return 200, nil, `{"id":"1"}` }, []string{"100 "}, "is not a WhatsApp Business Account", "WhatsApp Manager"},
		{"nothing", func(string, int) (int, http.Header, string) { return 200, nil, `{"data":[]}` }, []string{"100 "}, "", ""},
		{"the token comes back", func(string, int) (int, http.Header, string) {
			return 400, nil, `{"error":{"code":190,"message":"bad token ` + token + `","error_data":"` + token + `"}}`
		}, []string{"100 "}, "bad token [secret]", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newShelf(t, tt.answer)
			_, err := account.PullTemplates(context.Background(), nil, s.connection())
			assert.Equal(t, tt.asked, s.asked)
			if tt.want == "" {
				require.NoError(t, err)
				return
			}
			var bad *account.PullError
			require.ErrorAs(t, err, &bad)
			assert.Contains(t, bad.Problem, tt.want)
			assert.Contains(t, bad.Hint, tt.hint)
			assert.NotContains(t, err.Error(), token)
		})
	}
}

func TestPullTemplatesWithout(t *testing.T) {
	c := connection("http://127.0.0.1:1")
	_, err := account.PullTemplates(context.Background(), nil, c)
	assert.ErrorContains(t, err, "no waba_id")
	c.Setup["waba_id"] = "1"
	_, err = account.PullTemplates(context.Background(), nil, c)
	assert.ErrorContains(t, err, "cannot reach 127.0.0.1")
	c.Secrets = nil
	_, err = account.PullTemplates(context.Background(), nil, c)
	assert.ErrorContains(t, err, "no token")
	c.App = vault.HTTP
	_, err = account.PullTemplates(context.Background(), nil, c)
	assert.ErrorContains(t, err, "is for HTTP")
}
