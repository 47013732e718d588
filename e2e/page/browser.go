// Package page tests the web pages in a headless Chromium: see Start.
package page

import (
	"context"
	"os/exec"
	"testing"
	"time"

	"facteur/e2e"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// patience bounds each operation of a tab, and the browser's start, which is slow the first
// time and on a busy machine.
const patience = time.Minute

// A Browser is a Chromium with an empty profile.
type Browser struct{ ctx context.Context }

// Start starts a browser that ends with the test. It is only for trusted pages: it runs without
// its sandbox, which does not work in containers or for root.
func Start(t testing.TB) *Browser {
	t.Helper()
	path := ""
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if found, err := exec.LookPath(name); err == nil {
			path = found
			break
		}
	}
	if path == "" {
		e2e.SkipMissing(t, "there is no Chromium here: apt-get install chromium")
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(path), chromedp.NoSandbox,
		chromedp.WSURLReadTimeout(patience), chromedp.Flag("hide-scrollbars", true))
	ctx, stop := chromedp.NewExecAllocator(context.Background(), options...)
	t.Cleanup(stop)
	ctx, stop = chromedp.NewContext(ctx)
	t.Cleanup(stop)
	if err := chromedp.Do(ctx); err != nil {
		t.Fatalf("%s does not start: %v", path, err)
	}
	return &Browser{ctx}
}

// A Window is the size of a window in pixels, and whether the colour scheme is dark.
type Window struct {
	Width, Height int64
	Dark          bool
}

// A Tab shows a page. Any error of an operation ends the test.
type Tab struct {
	ctx context.Context
	t   testing.TB
}

// Open opens an address in a tab that ends with the test. An error in the page's scripts
// fails the test.
func (b *Browser) Open(t testing.TB, address string, look Window) *Tab {
	t.Helper()
	ctx, stop := chromedp.NewContext(b.ctx, chromedp.WithListener(func(event any) {
		if thrown, ok := event.(*runtime.EventExceptionThrown); ok {
			t.Errorf("%s: %s %s", address, thrown.ExceptionDetails.Text, thrown.ExceptionDetails.Exception.Description)
		}
	}))
	t.Cleanup(stop)
	if err := chromedp.Do(ctx); err != nil { // opens the tab, which lasts as long as this context
		t.Fatal(err)
	}
	tab := &Tab{ctx, t}
	theme := "light"
	if look.Dark {
		theme = "dark"
	}
	run(tab, "size", command(emulation.SetDeviceMetricsOverride, emulation.SetDeviceMetricsOverrideParams{Width: look.Width, Height: look.Height, DeviceScaleFactor: 1, Mobile: look.Width < 500}))
	run(tab, "theme", command(emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: theme}}}))
	tab.Go(address)
	return tab
}

// Go navigates to another address.
func (tab *Tab) Go(address string) {
	tab.t.Helper()
	run(tab, address, chromedp.Navigate(address))
}

// WithoutScripts disables the scripts of pages opened from now on; what the test itself
// evaluates still runs.
func (tab *Tab) WithoutScripts() {
	tab.t.Helper()
	run(tab, "no scripts", command(emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true}))
}

// Run runs JavaScript.
func (tab *Tab) Run(script string) {
	tab.t.Helper()
	Eval[chromedp.Void](tab, script)
}

// Eval evaluates JavaScript, and awaits its value.
func Eval[T any](tab *Tab, script string) T {
	tab.t.Helper()
	return run(tab, script, chromedp.Evaluate[T](script, chromedp.EvalAwaitPromise))
}

// Until waits until a JavaScript condition holds, also across navigations. A condition that
// throws does not hold yet.
func (tab *Tab) Until(condition string) {
	tab.t.Helper()
	ctx, stop := context.WithTimeout(tab.ctx, patience)
	defer stop()
	look := chromedp.Evaluate[bool]("(() => { try { return !!(" + condition + "); } catch { return false; } })()")
	again := time.NewTicker(20 * time.Millisecond)
	defer again.Stop()
	for {
		if held, err := chromedp.Run(ctx, look); err == nil && held {
			return
		}
		select {
		case <-again.C:
		case <-ctx.Done():
			tab.t.Fatalf("does not come true: %s", condition)
		}
	}
}

// Type presses keys, one after another.
func (tab *Tab) Type(keys string) {
	tab.t.Helper()
	run(tab, "type "+keys, chromedp.KeyEvent(keys))
}

// Screenshot returns a PNG of the visible part of the page.
func (tab *Tab) Screenshot() (png []byte) {
	tab.t.Helper()
	return run(tab, "take a picture", chromedp.CaptureScreenshot())
}

// command is a command of the protocol that chromedp has no name for.
func command[P, R any](c cdp.Command[P, R], params P) chromedp.Action[R] {
	return func(ctx context.Context, target *chromedp.Target) (R, error) {
		return cdp.Call(ctx, target, c, params)
	}
}

func run[T any](tab *Tab, what string, action chromedp.Action[T]) T {
	tab.t.Helper()
	ctx, stop := context.WithTimeout(tab.ctx, patience)
	defer stop()
	value, err := chromedp.Run(ctx, action)
	if err != nil {
		tab.t.Fatalf("%.200s: %v", what, err)
	}
	return value
}
