package suite

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"facteur/flow/call"
	"facteur/flow/diag"
	"facteur/flow/host"
	"facteur/flow/record"
	"facteur/flow/schema"
)

// simulated tells whether a stand-in answers the requests of the case: it has no exchanges
// for those, and the recording that it may name is yet to be written.
func (x *execution) simulated() bool {
	if x.o.Simulate == nil {
		return false
	}
	if x.c.given {
		return len(x.c.exchanges) > 0 && !slices.ContainsFunc(x.c.exchanges, x.forStandIn)
	}
	if x.c.recording.Value == "" {
		return true
	}
	_, err := os.Stat(x.beside(x.c.recording))
	return x.o.ReadFile == nil && errors.Is(err, fs.ErrNotExist)
}

// forStandIn tells whether an exchange answers what a stand-in might, as one of no step in
// particular does.
func (x *execution) forStandIn(e *record.Exchange) bool {
	if e.Step == "" {
		return true
	}
	sig := signatureOf(x.c.plan, idOf(e.Step))
	return sig == nil || x.o.Simulates == nil || x.o.Simulates(sig.Name)
}

// leftToStandIn tells whether a request that no exchange fitted would have gone to the stand-in
// that this time there is not: the case has exchanges, and none of them is for it.
func (x *execution) leftToStandIn(m record.Mismatch) bool {
	if x.o.Simulate != nil || x.o.Simulates == nil || len(x.c.exchanges) == 0 || slices.ContainsFunc(x.c.exchanges, x.forStandIn) {
		return false
	}
	sig := signatureOf(x.c.plan, idOf(m.Info.Step))
	return sig != nil && x.o.Simulates(sig.Name)
}

// do returns what makes the calls of the case.
func (x *execution) do(w World) (do call.Do, end func(), err error) {
	if x.stand != nil {
		if x.player != nil {
			w.RoundTripper = x.player
		}
		do, end, err = x.o.Simulate(w)
		return x.stand.noting(do), end, err
	}
	w.RoundTripper = x.transport()
	do, err = x.o.Do(w)
	return do, func() {}, err
}

// through records what goes to the stand-in, where that is to be kept.
func (x *execution) through(standIn http.RoundTripper) http.RoundTripper {
	if !x.o.Keep {
		return standIn
	}
	x.recorder = record.NewRecorder(standIn, x.o.Scrub)
	x.recorder.Now = x.clock.Now
	return x.recorder
}

// A told is something that a stand-in told the run of.
type told struct {
	at      time.Time
	event   *host.Event
	receipt *call.Receipt
	step    string // of the receipt
	called  time.Time
}

// noting notes when which step made which call.
func (s *Simulated) noting(do call.Do) call.Do {
	return func(ctx context.Context, c call.Call) call.Outcome {
		s.x.calls.Store(c.Key, madeCall{idOf(c.Step), s.Clock.Now()})
		return do(ctx, c)
	}
}

type madeCall struct {
	step string
	at   time.Time
}

// Deliver brings an event to the run.
func (s *Simulated) Deliver(ctx context.Context, e host.Event) error {
	s.x.note(told{at: s.Clock.Now(), event: &e})
	return s.h.Deliver(ctx, e)
}

// Receive brings receipts to the run.
func (s *Simulated) Receive(receipts ...call.Receipt) {
	for _, r := range receipts {
		if made, ok := s.x.calls.Load(r.Key); ok {
			made := made.(madeCall)
			s.x.note(told{at: s.Clock.Now(), receipt: &r, step: made.step, called: made.at})
		}
	}
	s.h.Receive(receipts...)
}

func (x *execution) note(t told) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.came = append(x.came, t)
}

// An addition is a text that is put into the test file.
type addition struct {
	at   int // in bytes
	text string
}

// add has the exchanges of the case, and the news that came, put below it.
func (x *execution) add() (added bool) {
	var exchanges bytes.Buffer
	if err := x.recorder.Write(&exchanges); err != nil {
		x.fail(x.c.Range, "%s", err)
		return false
	}
	at, margin, ok := below(x.c.first)
	if !ok {
		x.fail(x.c.Range, "its exchanges cannot be written below it: give each key of the case a line of its own, or name a recording: FILE")
		return false
	}
	if x.player == nil {
		x.f.added = append(x.f.added, addition{at, indent(exchanges.String()+x.news(), margin)})
		return true
	}
	first := x.c.exchanges[0].Range
	start := strings.LastIndexByte(string(first.Source.Text[:max(first.Start, 0)]), '\n') + 1
	before := string(first.Source.Text[start:first.Start])
	if !newCase.MatchString(before) || first.Source != x.c.first.Source || start < x.c.first.Start || start >= at {
		x.fail(first, "more exchanges cannot be written above it: give each exchange of the case a line of its own, with a dash")
		return false
	}
	_, list, _ := strings.Cut(exchanges.String(), "exchanges:\n")
	list = strings.ReplaceAll("\n"+list, "\n  ", "\n")[1:] // the dashes to the left
	x.f.added = append(x.f.added, addition{start, indent(list, before[:strings.IndexByte(before, '-')])})
	if news := x.news(); news != "" {
		x.f.added = append(x.f.added, addition{at, indent(news, margin)})
	}
	return true
}

// indent puts a margin before the lines of a text that are no comments.
func indent(text, margin string) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		if !strings.HasPrefix(line, "#") {
			b.WriteString(margin + line)
		}
	}
	return b.String()
}

// news are the events of the case as a list in YAML, where the flow may have waited for
// some and the case brings none of its own.
func (x *execution) news() string {
	if len(x.c.feed) > 0 {
		return ""
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	var b strings.Builder
	for _, t := range x.came {
		if b.Len() == 0 {
			b.WriteString("events:\n")
		}
		if t.receipt != nil {
			fmt.Fprintf(&b, "  - {after: %s, in: %s, receipt: %s, status: %s", t.step, schema.FormatDuration(t.at.Sub(t.called)), t.step, t.receipt.State)
			writeFields(&b, t.receipt.Data, "message_id")
			if e := t.receipt.Error; e != nil {
				fmt.Fprintf(&b, ", error: {code: %s, title: %s}", strconv.QuoteToGraphic(e.Code), strconv.QuoteToGraphic(e.Message))
			}
		} else {
			fmt.Fprintf(&b, "  - {at: %s, event: %s", schema.FormatDuration(t.at.Sub(x.c.now)), t.event.Name)
			writeFields(&b, t.event.Data, "from", "type", "text", "reply_id", "reply_title", "message_id", "sender_phone_id")
		}
		b.WriteString("}\n")
	}
	return b.String()
}

func writeFields(b *strings.Builder, data map[string]any, names ...string) {
	for _, name := range names {
		if text, ok := data[name].(string); ok && text != "" {
			fmt.Fprintf(b, ", %s: %s", name, strconv.QuoteToGraphic(text)) // as YAML has it, without what YAML does not take
		}
	}
}

var newCase = regexp.MustCompile(`^[ \t]*(-[ \t]+)+$`)

// below finds where a case ends, whose first key stands there, and what stands before its
// keys. A case in braces has no such place.
func below(first diag.Range) (at int, margin string, ok bool) {
	if first.Source == nil {
		return 0, "", false
	}
	text := string(first.Source.Text)
	start := strings.LastIndexByte(text[:first.Start], '\n') + 1
	before := text[start:first.Start]
	if !newCase.MatchString(before) {
		return 0, "", false
	}
	width := len(before)
	end := first.Start + lineLength(text[first.Start:])
	for next := end; next < len(text); {
		line := text[next : next+lineLength(text[next:])]
		bare := strings.TrimSpace(line)
		if bare != "" && len(line)-len(strings.TrimLeft(line, " ")) < width {
			break
		}
		next += len(line)
		if bare != "" && !strings.HasPrefix(bare, "#") {
			end = next
		}
	}
	return end, strings.Repeat(" ", width), true
}

// lineLength is that of the first line, its end included.
func lineLength(text string) int {
	if i := strings.IndexByte(text, '\n'); i >= 0 {
		return i + 1
	}
	return len(text)
}

// write puts what was added into the test file.
func (f *File) write() error {
	if len(f.added) == 0 {
		return nil
	}
	before, err := os.ReadFile(f.Name)
	if err != nil {
		return err
	}
	text, mark := string(before), ""
	if rest, ok := strings.CutPrefix(text, byteOrderMark); ok { // as some editors begin files
		text, mark = rest, byteOrderMark
	}
	if text != string(f.Cases[0].first.Source.Text) {
		return errors.New("the file has changed meanwhile")
	}
	for _, a := range slices.Backward(f.added) {
		if a.at > 0 && text[a.at-1] != '\n' {
			a.text = "\n" + a.text
		}
		text = text[:a.at] + a.text + text[a.at:]
	}
	f.added = nil
	return os.WriteFile(f.Name, []byte(mark+text), 0o644)
}

const byteOrderMark = "\ufeff" // which is no part of what was parsed
