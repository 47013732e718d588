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

// simulated reports whether a simulator answers the requests of the case: it has no exchanges
// for them, and the recording that it may name does not exist yet.
func (x *execution) simulated() bool {
	if x.o.Simulate == nil {
		return false
	}
	if x.c.hasExchanges {
		return len(x.c.exchanges) > 0 && !slices.ContainsFunc(x.c.exchanges, x.isForSimulator)
	}
	if x.c.recording.Value == "" {
		return true
	}
	_, err := os.Stat(x.resolvePath(x.c.recording))
	return x.o.ReadFile == nil && errors.Is(err, fs.ErrNotExist)
}

// isForSimulator reports whether an exchange answers what a simulator could, as one without a
// step does.
func (x *execution) isForSimulator(e *record.Exchange) bool {
	if e.Step == "" {
		return true
	}
	sig := signatureOf(x.c.plan, idOf(e.Step))
	return sig == nil || x.o.Simulates == nil || x.o.Simulates(sig.Name)
}

// needsSimulator reports whether a mismatched request would have been answered by a simulator:
// the case has exchanges, but none for it, and runs without a simulator.
func (x *execution) needsSimulator(m record.Mismatch) bool {
	if x.o.Simulate != nil || x.o.Simulates == nil || len(x.c.exchanges) == 0 || slices.ContainsFunc(x.c.exchanges, x.isForSimulator) {
		return false
	}
	sig := signatureOf(x.c.plan, idOf(m.Info.Step))
	return sig != nil && x.o.Simulates(sig.Name)
}

// do returns what performs the calls of the case.
func (x *execution) do(w Environment) (do call.Do, end func(), err error) {
	if x.simulation != nil {
		if x.player != nil {
			w.RoundTripper = x.player
		}
		do, end, err = x.o.Simulate(w)
		return x.simulation.recordCalls(do), end, err
	}
	w.RoundTripper = x.transport()
	do, err = x.o.Do(w)
	return do, func() {}, err
}

// recordThrough records the requests to the simulator if they are to be written.
func (x *execution) recordThrough(simulator http.RoundTripper) http.RoundTripper {
	if !x.o.WriteExchanges {
		return simulator
	}
	x.recorder = record.NewRecorder(simulator, x.o.Scrub)
	x.recorder.Now = x.clock.Now
	return x.recorder
}

// A delivery is an event or a receipt that the simulator sent.
type delivery struct {
	at      time.Time
	event   *host.Event
	receipt *call.Receipt
	step    string // of the receipt
	called  time.Time
}

// recordCalls records which step made which call, and when.
func (s *Simulation) recordCalls(do call.Do) call.Do {
	return func(ctx context.Context, c call.Call) call.Outcome {
		s.x.calls.Store(c.Key, callStart{idOf(c.Step), s.Clock.Now()})
		return do(ctx, c)
	}
}

type callStart struct {
	step string
	at   time.Time
}

// Deliver delivers an event to the run.
func (s *Simulation) Deliver(ctx context.Context, e host.Event) error {
	s.x.addDelivery(delivery{at: s.Clock.Now(), event: &e})
	return s.h.Deliver(ctx, e)
}

// Receive delivers receipts to the run.
func (s *Simulation) Receive(receipts ...call.Receipt) {
	for _, r := range receipts {
		if start, ok := s.x.calls.Load(r.Key); ok {
			start := start.(callStart)
			s.x.addDelivery(delivery{at: s.Clock.Now(), receipt: &r, step: start.step, called: start.at})
		}
	}
	s.h.Receive(receipts...)
}

func (x *execution) addDelivery(t delivery) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.deliveries = append(x.deliveries, t)
}

// An insertion is a text to insert into the test file.
type insertion struct {
	at   int // byte offset
	text string
}

// insertExchanges inserts the exchanges of the case, and its events, into the test file. It
// reports whether it could.
func (x *execution) insertExchanges() (added bool) {
	var exchanges bytes.Buffer
	if err := x.recorder.Write(&exchanges); err != nil {
		x.fail(x.c.Range, "%s", err)
		return false
	}
	at, margin, ok := endOfCase(x.c.firstKey)
	if !ok {
		x.fail(x.c.Range, "the exchanges cannot be written into this case: give each key of the case a line of its own, or name a recording: FILE")
		return false
	}
	if x.player == nil {
		x.f.insertions = append(x.f.insertions, insertion{at, indent(exchanges.String()+x.eventsYAML(), margin)})
		return true
	}
	first := x.c.exchanges[0].Range
	start := strings.LastIndexByte(string(first.Source.Text[:max(first.Start, 0)]), '\n') + 1
	before := string(first.Source.Text[start:first.Start])
	if !listDash.MatchString(before) || first.Source != x.c.firstKey.Source || start < x.c.firstKey.Start || start >= at {
		x.fail(first, "more exchanges cannot be written above this one: give each exchange of the case a line of its own, with a dash")
		return false
	}
	_, list, _ := strings.Cut(exchanges.String(), "exchanges:\n")
	list = strings.ReplaceAll("\n"+list, "\n  ", "\n")[1:] // the dashes to the left
	x.f.insertions = append(x.f.insertions, insertion{start, indent(list, before[:strings.IndexByte(before, '-')])})
	if events := x.eventsYAML(); events != "" {
		x.f.insertions = append(x.f.insertions, insertion{at, indent(events, margin)})
	}
	return true
}

// indent indents the lines of a text, without comments.
func indent(text, margin string) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		if !strings.HasPrefix(line, "#") {
			b.WriteString(margin + line)
		}
	}
	return b.String()
}

// eventsYAML returns the events of the case as a list in YAML, "" if the case has its own.
func (x *execution) eventsYAML() string {
	if len(x.c.feed) > 0 {
		return ""
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	var b strings.Builder
	for _, t := range x.deliveries {
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
			fmt.Fprintf(b, ", %s: %s", name, strconv.QuoteToGraphic(text)) // valid YAML: non-printable characters are escaped
		}
	}
}

var listDash = regexp.MustCompile(`^[ \t]*(-[ \t]+)+$`)

// endOfCase returns where a case ends, given its first key, and the indentation of its keys.
// It is not ok for a case in braces.
func endOfCase(first diag.Range) (at int, margin string, ok bool) {
	if first.Source == nil {
		return 0, "", false
	}
	text := string(first.Source.Text)
	start := strings.LastIndexByte(text[:first.Start], '\n') + 1
	before := text[start:first.Start]
	if !listDash.MatchString(before) {
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

// lineLength is the length of the first line, including its line break.
func lineLength(text string) int {
	if i := strings.IndexByte(text, '\n'); i >= 0 {
		return i + 1
	}
	return len(text)
}

// write applies the insertions to the test file.
func (f *File) write() error {
	if len(f.insertions) == 0 {
		return nil
	}
	before, err := os.ReadFile(f.Name)
	if err != nil {
		return err
	}
	text, mark := string(before), ""
	if rest, ok := strings.CutPrefix(text, byteOrderMark); ok { // some editors write one
		text, mark = rest, byteOrderMark
	}
	if text != string(f.Cases[0].firstKey.Source.Text) {
		return errors.New("the file has changed in the meantime")
	}
	for _, a := range slices.Backward(f.insertions) {
		if a.at > 0 && text[a.at-1] != '\n' {
			a.text = "\n" + a.text
		}
		text = text[:a.at] + a.text + text[a.at:]
	}
	f.insertions = nil
	return os.WriteFile(f.Name, []byte(mark+text), 0o644)
}

// byteOrderMark is not part of the parsed text.
const byteOrderMark = "\ufeff"
