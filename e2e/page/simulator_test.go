package page_test

import (
	"flag"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"

	"facteur/actions/whatsapp/simulator"
	"facteur/e2e/page"

	"github.com/chromedp/chromedp/kb"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var screenshots = flag.String("shots", "", "folder to write pictures of the pages to")

var wide = page.Window{Width: 1280, Height: 900}

// windows returns a phone and a desktop, each light and dark.
func windows() []page.Window {
	return []page.Window{{Width: 360, Height: 800}, {Width: 360, Height: 800, Dark: true}, wide, {Width: 1280, Height: 900, Dark: true}}
}

// screenshot writes a screenshot if -shots is given.
func screenshot(t *testing.T, tab *page.Tab, name string) {
	if *screenshots != "" {
		require.NoError(t, os.WriteFile(filepath.Join(*screenshots, name+".png"), tab.Screenshot(), 0o644))
	}
}

// TestEachTypeFits: every type of message, expanded, fits a phone and a desktop, light and dark,
// and axe finds no violations.
func TestEachTypeFits(t *testing.T) {
	browser, axe := page.Start(t), page.Axe(t)
	examples, conversation := newFixture(t), newFixture(t, templatesOfEachKind...)
	examples.sendExamples()
	conversation.fillConversation()
	for name, s := range map[string]*fixture{"examples": examples, "conversation": conversation} {
		for _, look := range windows() {
			t.Run(fmt.Sprintf("%s/%d/dark=%v", name, look.Width, look.Dark), func(t *testing.T) {
				tab := browser.Open(t, s.conversation(ada), look)
				screenshot(t, tab, fmt.Sprintf("%s-%d-%v", name, look.Width, look.Dark))
				tab.Run(`document.querySelectorAll("details").forEach(d => d.open = true)`)

				drawn := page.Eval[int](tab, `[...document.querySelectorAll("#messages > .message > .row > .bubble")].filter(e => e.offsetWidth > 20 && e.offsetHeight > 20).length`)
				assert.Equal(t, len(s.Messages(simulator.Filter{Person: ada})), drawn, "each message is drawn")
				assert.Empty(t, tab.Overflow(".cards"))
				assert.Empty(t, tab.AccessibilityViolations(axe))
				screenshot(t, tab, fmt.Sprintf("%s-%d-%v-open", name, look.Width, look.Dark))
			})
		}
	}
}

// TestChecksFindViolations: the checks of the other tests do find violations on a bad page.
func TestChecksFindViolations(t *testing.T) {
	tab := page.Start(t).Open(t, `data:text/html,<body><img src="x"><p id="a" style="width:2000px">a<div style="width:9px">long-long-word</div>`, wide)
	assert.Len(t, tab.Overflow(), 3)
	assert.Contains(t, fmt.Sprint(tab.AccessibilityViolations(page.Axe(t))), "image-alt")
}

// TestOtherStatesFit: the empty page, a failed message and an error page.
func TestOtherStatesFit(t *testing.T) {
	browser, axe := page.Start(t), page.Axe(t)
	empty, full := newFixture(t), newFixture(t)
	full.sendText("+33261911047", "Bonjour")
	full.Advance(time.Second)
	for _, look := range windows() {
		for name, address := range map[string]string{"empty": empty.url, "failed": full.conversation("+33261911047"), "requests": full.conversation("+33261911047") + "&raw=1"} {
			t.Run(fmt.Sprintf("%s/%d/dark=%v", name, look.Width, look.Dark), func(t *testing.T) {
				tab := browser.Open(t, address, look)
				assert.Empty(t, tab.Overflow(".cards"))
				assert.Empty(t, tab.AccessibilityViolations(axe))
				screenshot(t, tab, fmt.Sprintf("%s-%d-%v", name, look.Width, look.Dark))
			})
		}
	}
}

// tabTo presses Tab until an element that matches the selector has the focus.
func tabTo(t *testing.T, tab *page.Tab, selector string) {
	t.Helper()
	for range 100 {
		tab.Type(kb.Tab)
		if page.Eval[bool](tab, "document.activeElement.matches(`"+selector+"`)") {
			return
		}
	}
	t.Fatalf("the Tab key does not lead to %s", selector)
}

// the last message on the page, and whether it is the customer's.
const lastMessage = `[...document.querySelectorAll("#messages > .message")].at(-1)`

func TestKeyboardAlone(t *testing.T) {
	browser := page.Start(t)
	for _, look := range []page.Window{wide, {Width: 360, Height: 800}} {
		t.Run(fmt.Sprint(look.Width), func(t *testing.T) {
			s := newFixture(t)
			s.sendText("+33600000001", "Une autre conversation")
			s.sendButtons(ada)
			s.Advance(time.Second)
			tab := browser.Open(t, s.conversation(ada), look)

			tabTo(t, tab, "#m2-b-1-1") // the second button
			tab.Type(kb.Enter)
			tab.Until(lastMessage + `.matches(".out") && ` + lastMessage + `.innerText.includes("Non")`)
			answers := s.Messages(simulator.Filter{Person: ada})
			assert.Contains(t, string(answers[len(answers)-1].Body), `"no"`)

			tabTo(t, tab, "#text")
			tab.Type("bonjour")
			tab.Type(kb.Enter)
			tab.Until(lastMessage + `.innerText.includes("bonjour") && document.activeElement.id === "text" && document.activeElement.value === ""`)
			tab.Type("encore")
			tab.Type(kb.Enter)
			tab.Until(lastMessage + `.innerText.includes("encore")`)

			tab.Go(s.conversation(ada))
			tabTo(t, tab, `.list [id$=".33600000001"]`)
			tab.Type(kb.Enter)
			tab.Until(`location.search.endsWith(".33600000001") && ` + lastMessage + `.innerText.includes("Une autre")`)
			tab.Run(`history.back()`)
			tab.Until(lastMessage + `.innerText.includes("encore")`)
		})
	}
}

func TestKeyboardChooses(t *testing.T) {
	s := newFixture(t)
	s.send(ada, `"type":"interactive","interactive":{"type":"list","body":{"text":"Quand ?"},"action":{"button":"Choisir","sections":[{"title":"Jours","rows":[{"id":"mon","title":"Lundi"},{"id":"tue","title":"Mardi"}]}]}}`)
	s.Advance(time.Second)
	tab := page.Start(t).Open(t, s.conversation(ada), wide)
	tabTo(t, tab, "#m1-list summary")
	tab.Type(kb.Enter)
	tabTo(t, tab, "#m1-r0-1")
	tab.Type(kb.Enter)
	tab.Until(lastMessage + `.matches(".out") && ` + lastMessage + `.innerText.includes("Mardi")`)
}

func TestNewCustomer(t *testing.T) {
	s := newFixture(t)
	tab := page.Start(t).Open(t, s.url, wide)
	tabTo(t, tab, "#start-from")
	for _, field := range []string{"nobody", number, "Bonjour ?"} {
		tab.Type(field + kb.Tab)
	}
	tab.Type(kb.Enter)
	tab.Until(`document.getElementById("notice").textContent !== ""`)
	assert.Empty(t, s.Messages(simulator.Filter{}))

	tab.Go(s.url)
	tabTo(t, tab, "#start-from")
	for _, field := range []string{ada, number, "Bonjour ?"} {
		tab.Type(field + kb.Tab)
	}
	tab.Type(kb.Enter)
	tab.Until(`location.search.endsWith(".33612345678") && ` + lastMessage + `.innerText.includes("Bonjour ?")`)
}

// TestLive: new messages appear without a reload, and do not disturb what the user is doing.
func TestLive(t *testing.T) {
	browser := page.Start(t)
	for _, look := range []page.Window{wide, {Width: 360, Height: 800}} {
		t.Run(fmt.Sprint(look.Width), func(t *testing.T) {
			s := newFixture(t)
			for i := range 30 {
				s.sendText(ada, fmt.Sprintf("Ligne %d", i))
			}
			s.Advance(time.Second)
			tab := browser.Open(t, s.conversation(ada), look)
			tab.Run(`document.getElementById("text").value = "brouillon"; document.querySelector(".raw").open = true; document.getElementById("text").focus()`)

			s.sendText(ada, "vient <b>d'arriver</b>")
			tab.Until(lastMessage + `.innerText.includes("vient <b>d'arriver</b>")`)
			tab.Until(`document.getElementById("m31").getBoundingClientRect().top < innerHeight`)
			tab.Until(`document.getElementById("text").value === "brouillon" && document.activeElement.id === "text" && document.querySelector(".raw").open`)

			tab.Until(lastMessage + `.querySelector(".bubble").ariaLabel.includes("accepted")`)
			s.Advance(time.Second)
			tab.Until(lastMessage + `.querySelector(".bubble").ariaLabel.includes("delivered")`)
			s.Read(number, "33612345678")
			tab.Until(lastMessage + `.querySelector(".bubble").ariaLabel.includes("read")`)

			s.sendText("+33261911047", "échoue")
			tab.Until(`document.getElementById("c-` + number + `.33261911047")`)
			s.Advance(time.Second)
			tab.Until(`document.getElementById("c-` + number + `.33261911047").innerText.includes("not delivered")`)
		})
	}
}

// TestScrollPositionStays: a new message does not scroll away from older ones being read.
func TestScrollPositionStays(t *testing.T) {
	s := newFixture(t)
	for i := range 60 {
		s.sendText(ada, fmt.Sprintf("Ligne %d", i))
	}
	tab := page.Start(t).Open(t, s.conversation(ada), wide)
	tab.Run(`document.getElementById("log").scrollTop = 0`)
	s.sendText(ada, "tout en bas")
	tab.Until(lastMessage + `.innerText.includes("tout en bas")`)
	top := page.Eval[float64](tab, `document.getElementById("log").scrollTop`)
	assert.Zero(t, top)
}

// TestWithoutScripts: the page works, one reload at a time.
func TestWithoutScripts(t *testing.T) {
	s := newFixture(t)
	s.sendButtons(ada)
	tab := page.Start(t).Open(t, s.url, wide)
	tab.WithoutScripts()
	tab.Go(s.conversation(ada))
	tabTo(t, tab, "#m1-b-1-0")
	tab.Type(kb.Enter)
	tab.Until(`document.readyState === "complete" && ` + lastMessage + `.matches(".out") && ` + lastMessage + `.innerText.includes("Oui")`)
	tabTo(t, tab, "#text")
	tab.Type("bonjour" + kb.Enter)
	tab.Until(lastMessage + `.innerText.includes("bonjour")`)
	assert.Len(t, s.Messages(simulator.Filter{Person: ada}), 3)
}

// TestSlowAnswers: while the simulator is slow, text typed meanwhile is kept and a second press
// of a button has no effect.
func TestSlowAnswers(t *testing.T) {
	s := newFixture(t)
	s.sendButtons(ada)
	s.Advance(time.Second)
	slow := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			<-slow
		}
		s.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	tab := page.Start(t).Open(t, server.URL+"/?c="+number+".33612345678", wide)
	tab.Run(`for (let i = 0; i < 3; i++) document.getElementById("m1-b-1-0").click()`)
	tabTo(t, tab, "#text")
	tab.Type("un" + kb.Enter + "deux" + kb.Enter + "brouillon")
	close(slow)
	tab.Until(lastMessage + `.innerText.includes("deux")`)
	assert.Equal(t, "brouillon", page.Eval[string](tab, `document.getElementById("text").value`))
	var said []string
	for _, m := range s.Messages(simulator.Filter{Person: ada}) {
		if m.Inbound {
			said = append(said, m.Bubble().Text)
		}
	}
	assert.Equal(t, []string{"Oui", "un", "deux"}, said)
}

// TestOpensAtLatestMessage: the latest message is visible, above the input.
func TestOpensAtLatestMessage(t *testing.T) {
	s := newFixture(t)
	for i := range 30 {
		s.sendText(ada, fmt.Sprintf("Ligne %d", i))
	}
	browser := page.Start(t)
	for _, look := range []page.Window{wide, {Width: 360, Height: 800}} {
		t.Run(fmt.Sprint(look.Width), func(t *testing.T) {
			tab := browser.Open(t, s.conversation(ada), look)
			tab.Until(lastMessage + `.getBoundingClientRect().bottom <= document.querySelector(".compose").getBoundingClientRect().top`)
		})
	}
}

// TestManyTabs: hidden tabs keep no connection, because a browser opens only six to a server; a
// tab that becomes visible again catches up.
func TestManyTabs(t *testing.T) {
	s := newFixture(t)
	s.sendText(ada, "Bonjour")
	browser := page.Start(t)
	show := func(tab *page.Tab, seen bool) {
		tab.Run(fmt.Sprintf(`Object.defineProperty(document, "hidden", {value: %v, configurable: true}); document.dispatchEvent(new Event("visibilitychange"))`, !seen))
	}
	var tabs []*page.Tab
	for range 8 {
		tab := browser.Open(t, s.conversation(ada), wide)
		tab.Until(lastMessage + `.innerText.includes("Bonjour") && stream.readyState === EventSource.OPEN`)
		show(tab, false)
		tabs = append(tabs, tab)
	}
	s.sendText(ada, "encore")
	show(tabs[0], true)
	tabs[0].Until(lastMessage + `.innerText.includes("encore")`)
}
