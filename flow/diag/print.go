package diag

import (
	"bufio"
	"fmt"
	"io"
	"strings"
	"unicode"
)

// A Printer prints diagnostics for people: position, message, the source line with carets
// under the range, and the hint.
type Printer struct {
	W     io.Writer
	Color bool
}

// Print prints the list in its order, after HideSecretLines and Deduplicate.
func (p Printer) Print(list List) error {
	w := bufio.NewWriter(p.W)
	for _, d := range list.HideSecretLines().Deduplicate() {
		p.diagnostic(w, d)
	}
	return w.Flush()
}

func (p Printer) paint(code, text string) string { return Paint(p.Color, code, text) }

// Paint wraps a text in an SGR code, such as 31 for red, if color is set.
func Paint(color bool, code, text string) string {
	if !color {
		return text
	}
	return "\x1b[" + code + "m" + text + "\x1b[0m"
}

func (p Printer) diagnostic(w io.Writer, d Diagnostic) {
	if at := d.Range.Position(); at != "" {
		fmt.Fprintf(w, "%s ", p.paint("1", at+":"))
	}
	color := "31"
	if d.Severity == Warning {
		color = "33"
	}
	fmt.Fprintf(w, "%s %s", p.paint(color, d.Severity.String()+":"), Printable(d.Message))
	if d.Code != "" {
		fmt.Fprintf(w, " [%s]", d.Code)
	}
	fmt.Fprintln(w)
	p.snippet(w, d, color)
	if d.Hint != "" {
		fmt.Fprintf(w, "  %s %s\n", p.paint("36", "hint:"), Printable(d.Hint))
	}
}

// Snippet returns the source line with carets under the range, "" if there is none or it is
// hidden.
func (d Diagnostic) Snippet() string {
	var b strings.Builder
	Printer{}.snippet(&b, d, "")
	return strings.TrimRight(b.String(), "\n")
}

// maxSnippet is the number of code points of a line that a snippet shows, around the range.
const maxSnippet = 120

func (p Printer) snippet(w io.Writer, d Diagnostic, color string) {
	r := d.Range
	if r.Source == nil || d.Hidden {
		return
	}
	at := r.Pos()
	line := []rune(r.Source.Line(at.Line))
	start := min(at.Col-1, len(line))
	width := 1
	if end := r.Source.Pos(r.End); end.Line == at.Line {
		width = max(1, end.Col-at.Col)
	} else {
		width = max(1, len(line)-start)
	}
	before, after := "", ""
	if len(line) > maxSnippet {
		from := max(0, min(start-maxSnippet/3, len(line)-maxSnippet))
		if from > 0 {
			before = "…"
		}
		to := min(len(line), from+maxSnippet)
		if to < len(line) {
			after = "…"
		}
		line = line[from:to]
		start -= from
	}
	width = min(width, max(1, len(line)-start))
	if strings.TrimSpace(string(line)) == "" {
		return
	}
	gutter := fmt.Sprintf("%5d | ", at.Line)
	fmt.Fprintf(w, "%s%s%s%s\n", gutter, before, Printable(strings.ReplaceAll(string(line), "\t", " ")), after)
	fmt.Fprintf(w, "%s| %s%s\n", strings.Repeat(" ", len(gutter)-2), strings.Repeat(" ", start+len([]rune(before))), p.paint(color, strings.Repeat("^", width)))
}

// Printable replaces control characters other than line breaks, which could control the
// terminal.
func Printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r == '\n' {
			return r
		}
		if unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) {
			return '�'
		}
		return r
	}, s)
}
