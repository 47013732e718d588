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

var shots = flag.String("shots", "", "folder to write pictures of the pages to")

var wide = page.Look{Width: 1280, Height: 900}

// looks are a phone and a desk, by day and by night.
func looks() []page.Look {
	return []page.Look{{Width: 360, Height: 800}, {Width: 360, Height: 800, Dark: true}, wide, {Width: 1280, Height: 900, Dark: true}}
}

// shoot writes a picture, where -shots asks for them.
func shoot(t *testing.T, tab *page.Tab, name string) {
	if *shots != "" {
		require.NoError(t, os.WriteFile(filepath.Join(*shots, name+".png"), tab.Shot(), 0o644))
	}
}

// TestEachTypeFits: all there is to see, opened, fits a phone and a desk, by day and by
// night, and axe finds nothing that keeps people out.
func TestEachTypeFits(t *testing.T) {
	browser, axe := page.Start(t), page.Axe(t)
	examples, conversation := newStage(t), newStage(t, ofEachKind...)
	examples.eachExample()
	conversation.aConversation()
	for name, s := range map[string]*stage{"examples": examples, "conversation": conversation} {
		for _, look := range looks() {
			t.Run(fmt.Sprintf("%s/%d/dark=%v", name, look.Width, look.Dark), func(t *testing.T) {
				tab := browser.Open(t, s.conversation(ada), look)
				shoot(t, tab, fmt.Sprintf("%s-%d-%v", name, look.Width, look.Dark))
				tab.Do(`document.querySelectorAll("details").forEach(d => d.open = true)`)

				drawn := page.Eval[int](tab, `[...document.querySelectorAll("#messages > .message > .row > .bubble")].filter(e => e.offsetWidth > 20 && e.offsetHeight > 20).length`)
				assert.Equal(t, len(s.Messages(simulator.Filter{Person: ada})), drawn, "each message is drawn")
				assert.Empty(t, tab.Overflow(".cards"))
				assert.Empty(t, tab.Barriers(axe))
				shoot(t, tab, fmt.Sprintf("%s-%d-%v-open", name, look.Width, look.Dark))
			})
		}
	}
}

// TestChecksSee: what the other tests find none of is seen where it is.
func TestChecksSee(t *testing.T) {
	tab := page.Start(t).Open(t, `data:text/html,<body><img src="x"><p id="a" style="width:2000px">a<div style="width:9px">long-long-word</div>`, wide)
	assert.Len(t, tab.Overflow(), 3)
	assert.Contains(t, fmt.Sprint(tab.Barriers(page.Axe(t))), "image-alt")
}

// TestOtherStatesFit: the page with nothing, with a failure, and with what went wrong.
func TestOtherStatesFit(t *testing.T) {
	browser, axe := page.Start(t), page.Axe(t)
	empty, full := newStage(t), newStage(t)
	full.text("+33261911047", "Bonjour")
	full.Advance(time.Second)
	for _, look := range looks() {
		for name, address := range map[string]string{"empty": empty.url, "failed": full.conversation("+33261911047"), "requests": full.conversation("+33261911047") + "&raw=1"} {
			t.Run(fmt.Sprintf("%s/%d/dark=%v", name, look.Width, look.Dark), func(t *testing.T) {
				tab := browser.Open(t, address, look)
				assert.Empty(t, tab.Overflow(".cards"))
				assert.Empty(t, tab.Barriers(axe))
				shoot(t, tab, fmt.Sprintf("%s-%d-%v", name, look.Width, look.Dark))
			})
		}
	}
}

// reach presses Tab until the focus is on what a selector names, as somebody without a
// mouse does.
func reach(t *testing.T, tab *page.Tab, selector string) {
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
const last = `[...document.querySelectorAll("#messages > .message")].at(-1)`

func TestKeyboardAlone(t *testing.T) {
	browser := page.Start(t)
	for _, look := range []page.Look{wide, {Width: 360, Height: 800}} {
		t.Run(fmt.Sprint(look.Width), func(t *testing.T) {
			s := newStage(t)
			s.text("+33600000001", "Une autre conversation")
			s.buttons(ada)
			s.Advance(time.Second)
			tab := browser.Open(t, s.conversation(ada), look)

			reach(t, tab, "#m2-b-1-1") // the second button
			tab.Type(kb.Enter)
			tab.Until(last + `.matches(".out") && ` + last + `.innerText.includes("Non")`)
			answers := s.Messages(simulator.Filter{Person: ada})
			assert.Contains(t, string(answers[len(answers)-1].Body), `"no"`)

			reach(t, tab, "#text")
			tab.Type("bonjour")
			tab.Type(kb.Enter)
			tab.Until(last + `.innerText.includes("bonjour") && document.activeElement.id === "text" && document.activeElement.value === ""`)
			tab.Type("encore")
			tab.Type(kb.Enter)
			tab.Until(last + `.innerText.includes("encore")`)

			tab.Go(s.conversation(ada))
			reach(t, tab, `.list [id$=".33600000001"]`)
			tab.Type(kb.Enter)
			tab.Until(`location.search.endsWith(".33600000001") && ` + last + `.innerText.includes("Une autre")`)
			tab.Do(`history.back()`)
			tab.Until(last + `.innerText.includes("encore")`)
		})
	}
}

func TestKeyboardChooses(t *testing.T) {
	s := newStage(t)
	s.to(ada, `"type":"interactive","interactive":{"type":"list","body":{"text":"Quand ?"},"action":{"button":"Choisir","sections":[{"title":"Jours","rows":[{"id":"mon","title":"Lundi"},{"id":"tue","title":"Mardi"}]}]}}`)
	s.Advance(time.Second)
	tab := page.Start(t).Open(t, s.conversation(ada), wide)
	reach(t, tab, "#m1-list summary")
	tab.Type(kb.Enter)
	reach(t, tab, "#m1-r0-1")
	tab.Type(kb.Enter)
	tab.Until(last + `.matches(".out") && ` + last + `.innerText.includes("Mardi")`)
}

func TestNewCustomer(t *testing.T) {
	s := newStage(t)
	tab := page.Start(t).Open(t, s.url, wide)
	reach(t, tab, "#start-from")
	for _, field := range []string{"nobody", number, "Bonjour ?"} {
		tab.Type(field + kb.Tab)
	}
	tab.Type(kb.Enter)
	tab.Until(`document.getElementById("notice").textContent !== ""`)
	assert.Empty(t, s.Messages(simulator.Filter{}))

	tab.Go(s.url)
	reach(t, tab, "#start-from")
	for _, field := range []string{ada, number, "Bonjour ?"} {
		tab.Type(field + kb.Tab)
	}
	tab.Type(kb.Enter)
	tab.Until(`location.search.endsWith(".33612345678") && ` + last + `.innerText.includes("Bonjour ?")`)
}

// TestLive: what happens appears by itself, and disturbs nobody.
func TestLive(t *testing.T) {
	browser := page.Start(t)
	for _, look := range []page.Look{wide, {Width: 360, Height: 800}} {
		t.Run(fmt.Sprint(look.Width), func(t *testing.T) {
			s := newStage(t)
			for i := range 30 {
				s.text(ada, fmt.Sprintf("Ligne %d", i))
			}
			s.Advance(time.Second)
			tab := browser.Open(t, s.conversation(ada), look)
			tab.Do(`document.getElementById("text").value = "brouillon"; document.querySelector(".raw").open = true; document.getElementById("text").focus()`)

			s.text(ada, "vient <b>d'arriver</b>")
			tab.Until(last + `.innerText.includes("vient <b>d'arriver</b>")`)
			tab.Until(`document.getElementById("m31").getBoundingClientRect().top < innerHeight`)
			tab.Until(`document.getElementById("text").value === "brouillon" && document.activeElement.id === "text" && document.querySelector(".raw").open`)

			tab.Until(last + `.querySelector(".bubble").ariaLabel.includes("accepted")`)
			s.Advance(time.Second)
			tab.Until(last + `.querySelector(".bubble").ariaLabel.includes("delivered")`)
			s.Read(number, "33612345678")
			tab.Until(last + `.querySelector(".bubble").ariaLabel.includes("read")`)

			s.text("+33261911047", "échoue")
			tab.Until(`document.getElementById("c-` + number + `.33261911047")`)
			s.Advance(time.Second)
			tab.Until(`document.getElementById("c-` + number + `.33261911047").innerText.includes("not delivered")`)
		})
	}
}

// TestReaderStays: what arrives does not pull away somebody who reads above.
func TestReaderStays(t *testing.T) {
	s := newStage(t)
	for i := range 60 {
		s.text(ada, fmt.Sprintf("Ligne %d", i))
	}
	tab := page.Start(t).Open(t, s.conversation(ada), wide)
	tab.Do(`document.getElementById("log").scrollTop = 0`)
	s.text(ada, "tout en bas")
	tab.Until(last + `.innerText.includes("tout en bas")`)
	top := page.Eval[float64](tab, `document.getElementById("log").scrollTop`)
	assert.Zero(t, top)
}

// TestWithoutScripts: the page works, one reload at a time.
func TestWithoutScripts(t *testing.T) {
	s := newStage(t)
	s.buttons(ada)
	tab := page.Start(t).Open(t, s.url, wide)
	tab.WithoutScripts()
	tab.Go(s.conversation(ada))
	reach(t, tab, "#m1-b-1-0")
	tab.Type(kb.Enter)
	tab.Until(`document.readyState === "complete" && ` + last + `.matches(".out") && ` + last + `.innerText.includes("Oui")`)
	reach(t, tab, "#text")
	tab.Type("bonjour" + kb.Enter)
	tab.Until(last + `.innerText.includes("bonjour")`)
	assert.Len(t, s.Messages(simulator.Filter{Person: ada}), 3)
}

// TestSlowAnswers: who writes on while the simulator is slow loses nothing of it, and who
// presses again has pressed once.
func TestSlowAnswers(t *testing.T) {
	s := newStage(t)
	s.buttons(ada)
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
	tab.Do(`for (let i = 0; i < 3; i++) document.getElementById("m1-b-1-0").click()`)
	reach(t, tab, "#text")
	tab.Type("un" + kb.Enter + "deux" + kb.Enter + "brouillon")
	close(slow)
	tab.Until(last + `.innerText.includes("deux")`)
	assert.Equal(t, "brouillon", page.Eval[string](tab, `document.getElementById("text").value`))
	var said []string
	for _, m := range s.Messages(simulator.Filter{Person: ada}) {
		if m.Inbound {
			said = append(said, m.Bubble().Text)
		}
	}
	assert.Equal(t, []string{"Oui", "un", "deux"}, said)
}

// TestOpensAtTheEnd: what was written last is to be seen, above where one answers.
func TestOpensAtTheEnd(t *testing.T) {
	s := newStage(t)
	for i := range 30 {
		s.text(ada, fmt.Sprintf("Ligne %d", i))
	}
	browser := page.Start(t)
	for _, look := range []page.Look{wide, {Width: 360, Height: 800}} {
		t.Run(fmt.Sprint(look.Width), func(t *testing.T) {
			tab := browser.Open(t, s.conversation(ada), look)
			tab.Until(last + `.getBoundingClientRect().bottom <= document.querySelector(".compose").getBoundingClientRect().top`)
		})
	}
}

// TestManyTabs: tabs that nobody sees keep no connection, of which a browser opens six to a
// server; one that is seen again shows what came meanwhile.
func TestManyTabs(t *testing.T) {
	s := newStage(t)
	s.text(ada, "Bonjour")
	browser := page.Start(t)
	show := func(tab *page.Tab, seen bool) {
		tab.Do(fmt.Sprintf(`Object.defineProperty(document, "hidden", {value: %v, configurable: true}); document.dispatchEvent(new Event("visibilitychange"))`, !seen))
	}
	var tabs []*page.Tab
	for range 8 {
		tab := browser.Open(t, s.conversation(ada), wide)
		tab.Until(last + `.innerText.includes("Bonjour") && stream.readyState === EventSource.OPEN`)
		show(tab, false)
		tabs = append(tabs, tab)
	}
	s.text(ada, "encore")
	show(tabs[0], true)
	tabs[0].Until(last + `.innerText.includes("encore")`)
}
