package simulator_test

import (
	"bufio"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"facteur/actions/whatsapp/simulator"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func (s *stage) page(conversation string) string {
	status, text := s.do("GET", "/?c="+url.QueryEscape(conversation), "", "")
	require.Equal(s.t, 200, status)
	return text
}

const ada = phoneID + ".33612345678"

// press sends a form of the page, as a browser without scripts does, and returns the
// page that follows.
func (s *stage) press(fields ...string) (status int, text string) {
	form := url.Values{"c": {ada}}
	for i := 0; i < len(fields); i += 2 {
		form.Set(fields[i], fields[i+1])
	}
	return s.do("POST", "/_simulator/page/do", "application/x-www-form-urlencoded", form.Encode())
}

// TestPageDrawsEachType: every example is drawn, whole and escaped.
func TestPageDrawsEachType(t *testing.T) {
	s := newStage(t, simulator.Options{Clock: simulator.Frozen(start)})
	files, err := filepath.Glob("../../../examples/messages/*.json")
	require.NoError(t, err)
	people := regexp.MustCompile(`"\+\d+"`)
	for _, file := range files {
		body, err := os.ReadFile(file)
		require.NoError(t, err)
		require.NoError(t, s.Reset())
		status, answer := s.post(messages, people.ReplaceAllString(string(body), `"+33612345678"`))
		require.Equal(t, 200, status, answer)
		text := s.page(ada)
		assert.True(t, strings.HasSuffix(strings.TrimSpace(text), "</html>"), file)
		if !strings.Contains(file, "mark_read") {
			assert.Contains(t, text, `class="bubble kind-`, file)
			assert.NotContains(t, text, "Interactive message of type", file)
			assert.NotContains(t, text, "Message of type", file)
		}
		assert.NotContains(t, text, "ZgotmplZ", file)
	}
}

// TestPageRunsNothingOfMessages: what is sent is shown, and is never markup or script.
func TestPageRunsNothingOfMessages(t *testing.T) {
	const evil = `<script>alert(1)</script><img src=x onerror=alert(2)>"'` + "`" + `javascript:alert(3)`
	quoted := strings.ReplaceAll(evil, `"`, `\"`)
	tmpl := `{"name":"evil","language":"fr","category":"UTILITY","components":[{"type":"HEADER","format":"TEXT","text":"<b>x</b>"},{"type":"BODY","text":"{{1}}"},{"type":"FOOTER","text":"<i>x</i>"},{"type":"BUTTONS","buttons":[{"type":"URL","text":"<u>x</u>","url":"javascript:alert(1)"},{"type":"QUICK_REPLY","text":"<u>y</u>"}]}]}`
	o := simulator.Options{Clock: simulator.Frozen(start)}
	o.Templates = append(o.Templates, definition(t, tmpl))
	s := newStage(t, o)
	for _, body := range []string{
		`"type":"text","text":{"body":"` + quoted + ` *` + quoted + `* https://shop.test/\"><script>alert(1)</script>"}`,
		`"type":"template","template":{"name":"evil","language":{"code":"fr"},"components":[{"type":"body","parameters":[{"type":"text","text":"` + quoted + `"}]}]}`,
		`"type":"document","document":{"link":"https://shop.test/\"><script>alert(1)</script>","filename":"` + quoted + `","caption":"` + quoted + `"}`,
		`"type":"location","location":{"latitude":1,"longitude":2,"name":"` + quoted + `","address":"` + quoted + `"}`,
		`"type":"contacts","contacts":[{"name":{"formatted_name":"` + quoted + `","first_name":"a"},"urls":[{"url":"javascript:alert(1)"}]}]`,
		`"type":"interactive","interactive":{"type":"list","body":{"text":"` + quoted + `"},"action":{"button":"<b>","sections":[{"title":"<i>","rows":[{"id":"\"><script>","title":"<script>","description":"<img src=x onerror=alert(2)>"}]}]}}`,
		`"type":"interactive","interactive":{"type":"cta_url","body":{"text":"x"},"action":{"name":"cta_url","parameters":{"display_text":"<script>","url":"https://shop.test/\"onclick=\"alert(1)"}}}`,
		`"type":"text","text":{"body":"x"},"biz_opaque_callback_data":"` + quoted + `"`,
	} {
		status, answer := s.post(messages, `{"messaging_product":"whatsapp","to":"+33612345678",`+body+`}`)
		require.Equal(t, 200, status, answer)
	}
	_, err := s.Send(simulator.Inbound{From: "+33612345678", Name: evil, Text: evil})
	require.NoError(t, err)
	status, _ := s.press("do", evil)
	assert.Equal(t, 422, status)
	for _, text := range []string{s.page(ada), s.page(evil), s.page(phoneID + "." + evil)} {
		for _, tag := range []string{"<script>", "<img src=x", "<u>", "<b>x", `href="javascript`, "onerror=alert(2)>"} {
			assert.NotContains(t, text, tag)
		}
		assert.NotRegexp(t, `<[^<>]* on[a-z]+=`, regexp.MustCompile(`"[^"]*"`).ReplaceAllString(text, `""`), "no handler in a tag")
		assert.NotContains(t, text, "style=")
	}
	assert.Contains(t, s.page(ada), "&lt;script&gt;alert(1)&lt;/script&gt;")
}

func TestPageIsClosedToOthers(t *testing.T) {
	s := newStage(t, simulator.Options{Clock: simulator.Frozen(start)})
	for _, path := range []string{"/", "/_simulator/page/part", "/_simulator/page/page.css", "/_simulator/page/page.js", "/_simulator/page/icon.svg"} {
		resp, err := http.Get(s.url + path)
		require.NoError(t, err)
		resp.Body.Close()
		require.Equal(t, 200, resp.StatusCode, path)
		policy := resp.Header.Get("Content-Security-Policy")
		assert.Contains(t, policy, "default-src 'none'")
		assert.Contains(t, policy, "frame-ancestors 'none'")
		assert.NotContains(t, policy, "unsafe")
		assert.Equal(t, "nosniff", resp.Header.Get("X-Content-Type-Options"))
	}
	text := s.page("")
	assert.NotRegexp(t, `(src|href)="https?://`, text, "nothing comes from elsewhere")
	assert.NotRegexp(t, `<script>|<style`, text)
	css, _ := os.ReadFile("page/page.css")
	assert.NotContains(t, string(css), "url(")
	status, _ := s.do("GET", "/_simulator/page/page.html", "", "")
	assert.Equal(t, 404, status)
	status, _ = s.do("GET", "/_simulator/page/../../etc/passwd", "", "")
	assert.NotEqual(t, 200, status)
}

// TestFilesOnThePage: pictures are shown, and nothing that could run.
func TestFilesOnThePage(t *testing.T) {
	s := newStage(t, simulator.Options{Clock: simulator.Frozen(start)})
	for kind, want := range map[string]int{"image": 200, "sticker": 200, "document": 404} {
		id, err := s.Send(simulator.Inbound{From: "+33612345678", To: phoneID, Type: kind})
		require.NoError(t, err)
		m, _ := s.Message(id)
		status, _ := s.do("GET", "/_simulator/page/file/"+m.Bubble().Media.ID, "", "")
		assert.Equal(t, want, status, kind)
	}
	assert.Contains(t, s.page(ada), `<img class="image"`)
	kind, body := form(t, map[string]string{"messaging_product": "whatsapp", "type": "text/plain"}, "text/plain", "<script>alert(1)</script>")
	_, answer := s.do("POST", "/v23.0/"+phoneID+"/media", kind, body)
	id := strings.Trim(strings.TrimPrefix(answer, `{"id":`), `"}`)
	status, _ := s.do("GET", "/_simulator/page/file/"+id, "", "")
	assert.Equal(t, 404, status)
}

// TestPageWithoutScripts: the customer writes, presses, chooses, reacts and reads.
func TestPageWithoutScripts(t *testing.T) {
	s, hook := hooked(t)
	assert.Contains(t, s.page(""), "No messages yet.")
	status, text := s.press("do", "start", "from", "+33 6 12 34 56 78", "to", phoneID, "text", "bonjour *vous*")
	require.Equal(t, 200, status)
	assert.Contains(t, text, "bonjour <strong>vous</strong>")
	_, answer := s.post(messages, `{"messaging_product":"whatsapp","to":"+33612345678","type":"template","template":{"name":"order_shipped","language":{"code":"fr"},"components":[{"type":"body","parameters":[{"type":"text","text":"Jeanne"},{"type":"text","text":"n° 7"}]}]}}`)
	id := answer[strings.Index(answer, "wamid") : len(answer)-len(`","message_status":"accepted"}]}`)]
	text = s.page(ada)
	for _, part := range []string{"Votre commande", "Bonjour Jeanne, votre commande n° 7 est <strong>en route</strong>.", "Facteur", ">Merci</button>", "accepted"} {
		assert.Contains(t, text, part)
	}
	_, text = s.press("do", "tap", "message_id", id, "choice", "1", "card", "0")
	assert.Contains(t, text, `<blockquote class="quoted"`)
	_, text = s.press("do", "react", "message_id", id, "emoji", "👍")
	assert.Contains(t, text, `class="reactions"`)
	_, text = s.press("do", "send", "type", "location")
	assert.Contains(t, text, "Tour Eiffel")
	_, text = s.press("do", "advance", "by", "24h")
	assert.Contains(t, text, "2 Mar 2026, 12:00 UTC")
	assert.Contains(t, text, "window closed")
	_, _ = s.press("do", "read")
	s.idle()
	assert.Subset(t, statuses(hook.told(t)), []string{"message:text", "message:button", "message:reaction", "message:location", "read"})

	for want, fields := range map[string][]string{
		"the page has no action":   {"do", "explode"},
		"there is no message":      {"do", "tap", "message_id", "wamid.x"},
		"must not be empty":        {"do", "send", "text", ""},
		"cannot be moved that far": {"do", "advance", "by", "99999d"},
		"must be a JSON object":    {"do", "tap", "message_id", id, "filled", "{"},
	} {
		status, text := s.press(fields...)
		assert.Equal(t, 422, status)
		assert.Contains(t, text, want)
		assert.Contains(t, text, `role="alert"`)
	}
	_, text = s.press("do", "reset")
	assert.Contains(t, text, "No messages yet.")
	require.Zero(t, s.code(texts("+33261911026")))
	s.Advance(time.Minute)
	text = s.page("")
	assert.Contains(t, text, "failed: Message undeliverable (131026)")
	assert.Contains(t, text, "not delivered:")
	require.Zero(t, s.code(texts("+33536490008")), "a person with another wa_id")
	assert.Contains(t, s.page(phoneID+".33536499008"), "33536499008</h2>")
}

func TestPageIsTold(t *testing.T) {
	s := newStage(t, simulator.Options{Clock: simulator.Frozen(start)})
	resp, err := http.Get(s.url + "/_simulator/page/events")
	require.NoError(t, err)
	defer resp.Body.Close()
	assert.Contains(t, resp.Header.Get("Content-Type"), "text/event-stream")
	lines := bufio.NewScanner(resp.Body)
	next := func() string {
		for lines.Scan() {
			if lines.Text() != "" {
				return lines.Text()
			}
		}
		return "the end"
	}
	require.Equal(t, "retry: 1000", next())
	require.Zero(t, s.code(texts("+33612345678")))
	assert.Equal(t, "data: changed", next())
	s.Advance(time.Second)
	assert.Equal(t, "data: changed", next())
	require.NoError(t, s.Close())
	assert.Equal(t, "the end", next())
}

// TestQuotes: where a message is one of many, or is quoted, it is short and on one line, and
// its marks are still read.
func TestQuotes(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"marks", `Colis *parti*, _~demain~_`, `Colis <strong>parti</strong>, <em><s>demain</s></em>`},
		{"a link", `Voir *https://shop.test/7*`, `Voir <strong>https://shop.test/7</strong>`},
		{"lines", `Bonjour\n\n* *un*\n2. deux\n> trois`, `Bonjour <strong>un</strong> 2. deux trois`},
		{"code", "Code ```a\\n  b```", `Code <code>a</code> <code>b</code>`},
		{"more than is shown", strings.Repeat("é", 78) + ` *gras*`, strings.Repeat("é", 78) + ` <strong>g…</strong>`},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newStage(t, simulator.Options{Clock: simulator.Frozen(start)})
			_, answer := s.post(messages, `{"messaging_product":"whatsapp","to":"+33612345678","type":"text","text":{"body":"`+c.text+`"}}`)
			id := regexp.MustCompile(`wamid[^"]+`).FindString(answer)
			want := `<span class="last" dir="auto">` + c.want + `</span>`
			assert.Contains(t, s.page(ada), want)
			_, err := s.Send(simulator.Inbound{From: "+33612345678", Text: "oui", ReplyTo: id})
			require.NoError(t, err)
			assert.Contains(t, s.page(ada), `<blockquote class="quoted" dir="auto">`+c.want+`</blockquote>`)
		})
	}
}

// TestEmojisAlone: one to three emojis alone are large, in a text.
func TestEmojisAlone(t *testing.T) {
	s := newStage(t, simulator.Options{Clock: simulator.Frozen(start)})
	s.post(messages, `{"messaging_product":"whatsapp","to":"+33612345678","type":"text","text":{"body":"🎉"}}`)
	s.post(messages, `{"messaging_product":"whatsapp","to":"+33612345678","type":"text","text":{"body":"🎉 ok"}}`)
	assert.Equal(t, 1, strings.Count(s.page(ada), `class="text large"`))
}

// TestEarlierMessages: that a long conversation is cut is told.
func TestEarlierMessages(t *testing.T) {
	s := newStage(t, simulator.Options{Clock: simulator.Frozen(start)})
	text := `{"messaging_product":"whatsapp","to":"+33612345678","type":"text","text":{"body":"Bonjour"}}`
	for range 200 {
		s.post(messages, text)
		s.Advance(10 * time.Second) // the pair limit
	}
	assert.NotContains(t, s.page(ada), "not shown")
	s.post(messages, text)
	assert.Contains(t, s.page(ada), "1 earlier message not shown")
}
