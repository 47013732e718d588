// Package bubble draws messages in a terminal as a phone shows them.
package bubble

import (
	"cmp"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"

	"facteur/actions/whatsapp/simulator"
	"facteur/actions/whatsapp/simulator/phone"

	"golang.org/x/term"
)

// A Sketch draws messages.
type Sketch struct {
	Width int            // columns of the terminal; bubbles are narrower, but have at least 16
	Color bool           // with ANSI escapes
	Zone  *time.Location // of the times that are shown
}

const (
	defaultWidth = 80
	maxText      = 60 // columns of text in a bubble; longer lines are hard to read
	minText      = 16
)

// For returns the sketch for a stream: as wide as the terminal, else 80 columns, in local time.
func For(w io.Writer, color bool) Sketch {
	s := Sketch{Width: defaultWidth, Color: color, Zone: time.Local}
	if f, ok := w.(*os.File); ok {
		if columns, _, err := term.GetSize(int(f.Fd())); err == nil && columns > 0 {
			s.Width = columns
		}
	}
	return s
}

// The styles of what a bubble holds.
const (
	strong = "1"
	faint  = "2"
	blue   = "36"
	red    = "31"
	green  = "32"
)

// Draw draws a message with its buttons, the status code of the answer to its request, 0 for none,
// and its state.
func (s Sketch) Draw(w io.Writer, m simulator.Message, status int64) {
	most := max(minText, min(maxText, s.Width-8))
	b := m.Bubble()
	text := bubbleText(b, most)
	foot := cells(m.At.In(s.Zone).Format("15:04"), faint)
	if mark, style := tick(m); mark != "" {
		foot = append(append(foot, cell{" ", 1, ""}), cells(mark, style)...)
	}
	var buttons [][]cell
	for _, one := range b.Buttons {
		buttons = append(buttons, wrapLines(cells(buttonIcon(one)+" "+one.Title, blue), most)...)
	}
	if b.List != nil {
		buttons = append(buttons, wrapLines(cells("≡ "+cmp.Or(b.List.Button, "Choose"), blue), most)...)
	}
	inner := columnsOf(foot)
	for _, line := range append(text, buttons...) {
		inner = max(inner, columnsOf(line))
	}
	margin := "  "
	if m.Inbound {
		margin += strings.Repeat(" ", max(0, min(s.Width, maxText+12)-inner-6))
	}
	var out strings.Builder
	write := func(before string, line []cell, after string) {
		out.WriteString(margin + before)
		paintCells(&out, line, s.Color)
		out.WriteString(after + "\n")
	}
	row := func(line []cell, indent int) {
		write("│ "+strings.Repeat(" ", indent), line, strings.Repeat(" ", inner-indent-columnsOf(line))+" │")
	}
	rule := func(left, right string) { write(left+strings.Repeat("─", inner+2)+right, nil, "") }
	write("", cells(title(m), faint), "")
	rule("╭", "╮")
	for _, line := range text {
		row(line, 0)
	}
	row(foot, inner-columnsOf(foot))
	for _, line := range buttons {
		rule("├", "┤")
		row(line, (inner-columnsOf(line))/2)
	}
	rule("╰", "╯")
	if note, style := stateText(m, status); note != "" {
		for _, line := range wrapLines(cells(note, style), max(minText, s.Width-len(margin)-2)) {
			write("", line, "")
		}
	}
	_, _ = io.WriteString(w, out.String()) // of a buffer
}

// bubbleText is the content of a bubble, wrapped.
func bubbleText(b phone.Bubble, most int) [][]cell {
	var lines [][]cell
	add := func(style string, parts ...string) {
		text := strings.Join(parts, "")
		if text == "" {
			return
		}
		for line := range strings.SplitSeq(text, "\n") {
			lines = append(lines, wrapLines(cells(line, style), most)...)
		}
	}
	switch {
	case b.Emoji != "":
		add("", "reacts with ", b.Emoji)
	case b.Target != "":
		add("", "removes a reaction")
	}
	if m := b.Media; m != nil {
		add(faint, "[", strings.TrimSpace(m.Kind+" "+m.Name), "] ", cmp.Or(m.Link, m.ID))
	}
	if p := b.Place; p != nil {
		add(faint, "[location] ", p.Latitude, ", ", p.Longitude)
		add("", p.Name)
		add("", p.Address)
	}
	if b.Label != "" {
		add(faint, "[", b.Label, "]")
	}
	add(strong, b.Header)
	if b.Text != "" {
		for _, line := range phone.Lines(b.Text) {
			lines = append(lines, wrapLines(styledLine(line), most)...)
		}
	}
	for _, f := range b.Facts {
		add("", f.Name, ": ", f.Value)
	}
	for _, c := range b.Contacts {
		add(strong, c.Name)
		add(faint, c.Detail)
		for _, f := range c.Lines {
			add("", f.Name, ": ", f.Value)
		}
	}
	add(faint, b.Footer)
	for i, card := range b.Cards {
		add(faint, fmt.Sprintf("── card %d of %d", i+1, len(b.Cards)))
		lines = append(lines, bubbleText(card, most)...)
		for _, one := range card.Buttons {
			add(blue, buttonIcon(one), " ", one.Title)
		}
	}
	if b.List != nil {
		for _, section := range b.List.Sections {
			add(faint, section.Title)
			for _, r := range section.Rows {
				add(blue, "• ", r.Title)
				if r.Description != "" {
					add(faint, "  ", r.Description)
				}
			}
		}
	}
	return lines
}

// styledLine turns a line of text into cells with its styles.
func styledLine(line phone.Line) []cell {
	var out []cell
	switch line.Kind {
	case "bullet":
		out = cells("• ", "")
	case "number":
		out = cells(line.Label+" ", "")
	case "quote":
		out = cells("▏ ", faint)
	}
	for _, span := range line.Spans {
		var style []string
		for _, one := range []struct {
			on  bool
			sgr string
		}{{span.Bold, strong}, {span.Italic, "3"}, {span.Strike, "9"}, {span.Mono, faint}, {span.URL != "", "4"}} {
			if one.on {
				style = append(style, one.sgr)
			}
		}
		out = append(out, cells(span.Text, strings.Join(style, ";"))...)
	}
	return out
}

// buttonIcon is the symbol of what pressing a button does.
func buttonIcon(b phone.Button) string {
	switch b.Kind {
	case "url":
		return "↗"
	case "phone", "call":
		return "☏"
	case "copy":
		return "⧉"
	}
	return "↩"
}

// title says who sent the message.
func title(m simulator.Message) string {
	who := m.Person
	if who != "" && strings.Trim(who, "0123456789") == "" {
		who = "+" + who
	}
	if m.Inbound {
		return "from " + who
	}
	return "to " + who + ", from the number " + m.Number
}

// tick is the check mark for a message's state, as a phone shows it.
func tick(m simulator.Message) (mark, style string) {
	switch {
	case m.Inbound:
		return "", ""
	case m.State == "sent":
		return "✓", faint
	case m.State == "delivered":
		return "✓✓", faint
	case m.State == "read":
		return "✓✓", blue
	case m.State == "failed":
		return "✗", red
	}
	return "…", faint
}

// stateText is a message's state in words.
func stateText(m simulator.Message, status int64) (words, style string) {
	state := strings.ReplaceAll(m.State, "_", " ")
	switch {
	case m.Inbound:
		return "", ""
	case status != http.StatusOK:
		words, style = fmt.Sprintf("status %d: accepted, but the answer was lost; %s", status, state), red
	default:
		words, style = "status 200, "+state, green
	}
	if m.Error != nil {
		words, style = fmt.Sprintf("%s: %s (%d)", words, m.Error.Title, m.Error.Code), red
	}
	for _, r := range m.Reactions {
		words += " " + r.Emoji
	}
	if m.Warning != "" {
		words += "; " + m.Warning
	}
	return words, style
}
