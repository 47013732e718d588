package page

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"facteur/e2e"
)

// Axe fetches axe-core from npm into a temporary folder, and returns its script. The working
// folder is that of this package.
func Axe(t testing.TB) (script string) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(e2e.InstallPackages(t), "node_modules", "axe-core", "axe.min.js"))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// AccessibilityViolations returns what axe finds wrong with the page, one line each.
func (tab *Tab) AccessibilityViolations(axe string) []string {
	tab.t.Helper()
	tab.Run(axe)
	return Eval[[]string](tab, `axe.run(document, {resultTypes: ["violations"]}).then(r => r.violations.map(v =>
		v.id + ": " + v.help + ": " + v.nodes.slice(0, 3).map(n => n.html.slice(0, 160) + " " + (n.any[0] ? n.any[0].message : "")).join(" | ")))`)
}

// Overflow returns the elements that extend beyond the window, or whose content extends beyond
// them, except those that may scroll.
func (tab *Tab) Overflow(mayScroll ...string) []string {
	tab.t.Helper()
	return Eval[[]string](tab, `(() => {
		const width = document.documentElement.clientWidth, found = [];
		const name = e => e.tagName + "." + e.className + " in " + (e.closest("[id]") || document.body).id;
		if (document.documentElement.scrollWidth > width) found.push("the page is " + document.documentElement.scrollWidth + " wide");
		for (const e of document.querySelectorAll("body *")) {
			if (e.closest("`+strings.Join(append(mayScroll, "svg", ".hidden", ".skip"), ", ")+`")) continue;
			const box = e.getBoundingClientRect(), style = getComputedStyle(e);
			if (box.width && (box.right > width + 1 || box.left < -1)) found.push(name(e) + ": from " + box.left + " to " + box.right);
			if (e.clientWidth && e.scrollWidth > e.clientWidth + 1 && style.overflowX === "visible" && style.display !== "inline") found.push(name(e) + ": content " + e.scrollWidth + ", box " + e.clientWidth);
		}
		return found;
	})()`)
}
