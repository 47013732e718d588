package bubble

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/width"
)

// A cell is a grapheme: a letter with its accents, an emoji with all its code points.
type cell struct {
	text  string
	width int    // in columns
	style string // SGR parameters, "" for none
}

const (
	joiner    = '\u200d'
	emojiForm = '\ufe0f'
)

// extends reports whether a character belongs to the one before it: an accent, the skin or another form
// of an emoji.
func extends(r rune) bool {
	return r == joiner || r == emojiForm || r >= 0x1f3fb && r <= 0x1f3ff || r >= 0xe0020 && r <= 0xe007f || unicode.In(r, unicode.Mn, unicode.Me)
}

// isFlag reports whether two such characters are a flag.
func isFlag(r rune) bool { return r >= 0x1f1e6 && r <= 0x1f1ff }

// cells splits a text into graphemes. Control characters, and those that change the direction of
// the text, are left out.
func cells(text, style string) []cell {
	var out []cell
	joined, flag := false, false
	for _, r := range text {
		if r == '\t' {
			r = ' '
		}
		last := len(out) - 1
		switch {
		case extends(r):
			if last < 0 {
				continue
			}
			out[last].text += string(r)
			if r == emojiForm {
				out[last].width = 2
			}
			joined = r == joiner
			continue
		case unicode.IsControl(r) || unicode.Is(unicode.Cf, r) || r == utf8.RuneError:
			continue
		case joined && last >= 0:
			out[last].text += string(r)
		case flag && isFlag(r):
			out[last].text += string(r)
			out[last].width = 2
			flag = false
			continue
		default:
			out = append(out, cell{string(r), columns(r), style})
		}
		joined, flag = false, isFlag(r)
	}
	return out
}

// columns is the width of a character.
func columns(r rune) int {
	switch width.LookupRune(r).Kind() {
	case width.EastAsianWide, width.EastAsianFullwidth:
		return 2
	}
	return 1
}

func columnsOf(line []cell) (n int) {
	for _, c := range line {
		n += c.width
	}
	return n
}

// wrapLines breaks a text into lines of at most so many columns, between words if possible.
func wrapLines(text []cell, most int) [][]cell {
	var lines [][]cell
	for columnsOf(text) > most {
		at, space, used := 0, -1, 0
		for used+text[at].width <= most {
			if text[at].text == " " {
				space = at
			}
			used += text[at].width
			at++
		}
		switch {
		case text[at].text == " ":
			lines, text = append(lines, text[:at]), text[at+1:]
		case space > 0:
			lines, text = append(lines, text[:space]), text[space+1:]
		default:
			at = max(at, 1)
			lines, text = append(lines, text[:at]), text[at:]
		}
	}
	return append(lines, text)
}

// paintCells writes a line, with its styles if color is set.
func paintCells(b *strings.Builder, line []cell, color bool) {
	style := ""
	for _, c := range line {
		if color && c.style != style {
			b.WriteString("\x1b[0" + strings.TrimRight(";"+c.style, ";") + "m")
			style = c.style
		}
		b.WriteString(c.text)
	}
	if style != "" {
		b.WriteString("\x1b[0m")
	}
}
