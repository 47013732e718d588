package machine_test

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"facteur/flow/call"
	"facteur/flow/machine"
	"facteur/flow/plan"
	"facteur/flow/schema"

	"github.com/rogpeppe/go-internal/txtar"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "rewrite the transcripts with what the machine says")

const transcripts = "../../testdata/machine"

// TestTranscripts runs the scripts in testdata/machine and compares what the machine does
// with what is written there; README.md there explains the format. Each run is then resumed
// from every prefix of its journal.
func TestTranscripts(t *testing.T) {
	files, err := filepath.Glob(transcripts + "/*.txt")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, path := range files {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".txt"), func(t *testing.T) {
			archive, err := txtar.ParseFile(path)
			require.NoError(t, err)
			var flows []string
			for i, f := range archive.Files {
				title, isRun := strings.CutPrefix(f.Name, "run")
				if !isRun {
					if i > 0 && strings.HasPrefix(archive.Files[i-1].Name, "run") {
						flows = nil // the next group of flows
					}
					flows = append(flows, string(f.Data))
					continue
				}
				t.Run(strings.TrimLeft(title, ": "), func(t *testing.T) {
					got := play(t, compile(t, flows...), string(f.Data))
					if *update {
						archive.Files[i].Data = []byte(got)
						return
					}
					assert.Equal(t, string(f.Data), got, "go test ./flow/machine -run Transcripts -update rewrites %s", path)
				})
			}
			if *update {
				require.NoError(t, os.WriteFile(path, txtar.Format(archive), 0o666))
			}
		})
	}
}

// A scriptRunner executes a script, and writes the machine's reactions below its lines.
type scriptRunner struct {
	*fakeHost
	out  strings.Builder
	hold bool // calls are taken up only when the script says so
	over bool
}

func play(t *testing.T, p *plan.Plan, script string) string {
	r := &scriptRunner{}
	for line := range strings.SplitSeq(strings.TrimSuffix(script, "\n"), "\n") {
		if !strings.HasPrefix(line, ">") && !strings.HasPrefix(line, "#") && line != "" {
			continue
		}
		r.out.WriteString(line + "\n")
		if command, ok := strings.CutPrefix(line, ">"); ok {
			verb, rest, _ := strings.Cut(strings.TrimSpace(command), " ")
			r.command(t, p, verb, rest)
		}
	}
	require.NotNil(t, r.fakeHost, "the script has no > start")
	r.checkResume()
	return r.out.String()
}

func (r *scriptRunner) command(t *testing.T, p *plan.Plan, verb, rest string) {
	words, object := parseLine(t, rest)
	word := func(i int) string {
		if i < len(words) {
			return words[i]
		}
		return ""
	}
	key := "f1.run." + word(0)
	switch {
	case verb == "start":
		s := newStart(p, object)
		s.Receipts = true
		for _, w := range words {
			if list, ok := strings.CutPrefix(w, "random="); ok {
				for n := range strings.SplitSeq(list, ",") {
					i, err := strconv.ParseInt(n, 10, 64)
					require.NoError(t, err)
					s.Random = append(s.Random, i)
				}
			} else {
				s.Receipts = w != "without-receipts"
			}
		}
		r.fakeHost = newFakeHost(t, p, s)
		r.print(r.wanted)
	case strings.HasPrefix(verb, "+"):
		d, err := schema.ParseDuration(verb[1:])
		require.NoError(t, err)
		r.advance(r.now.Add(d))
	case verb == "hold":
		r.hold = true
	case verb == "take":
		r.take(key)
	case verb == "answer":
		r.apply(machine.Answered{At: r.now, Key: key, Outcome: parseOutcome(t, words[1:], object)})
	case verb == "receipt":
		r.ids++
		receipt := call.Receipt{Key: key, ID: "r" + strconv.Itoa(r.ids), State: word(1), Data: object}
		for _, w := range words[2:] {
			if id, ok := strings.CutPrefix(w, "id="); ok {
				receipt.ID = id
			} else {
				receipt.Error = &call.Error{Code: w, Class: "permanent", Message: "the receipt says " + w}
			}
		}
		r.apply(machine.Received{At: r.now, Receipt: receipt})
	case verb == "event":
		r.ids++
		e := externalEvent{id: "e" + strconv.Itoa(r.ids), name: word(0), subject: word(1), at: r.now, data: object}
		if id, ok := strings.CutPrefix(word(2), "id="); ok {
			e.id = id
		}
		r.events = append(r.events, e)
		r.deliver()
	case verb == "cancel":
		r.apply(machine.CancelRequested{At: r.now, Reason: rest})
	case verb == "retry":
		e := machine.Retried{At: r.now, Resend: word(0) == "resend"}
		if err := r.m.Retryable(e.Resend); err != nil {
			r.printf("error: %s\n", err)
			return
		}
		r.over = false
		r.apply(e)
	case verb == "settle":
		e, err := r.m.Settlement(word(0), word(1) == "sent", word(2), r.now)
		if err != nil {
			r.printf("error: %s\n", err)
			return
		}
		r.apply(e)
	case verb == "unknown":
		r.printf("%v\n", r.m.Unknown())
	case verb == "crash": // all that is left is the journal
		m := machine.New(r.plan, r.start)
		for _, e := range r.journal {
			require.NoError(t, m.Apply(e))
		}
		m.Ended()
		r.m = m
		r.wanted = m.Next()
		r.print(r.wanted)
	case verb == "steps":
		for _, s := range r.m.Steps() {
			r.printf("%s %s %s attempts=%d calls=%v\n", s.Path, s.Kind, s.Status, s.Attempts, s.Keys)
		}
	case verb == "report":
		for _, s := range r.m.Steps() {
			if s.Path != rest && rest != "" {
				continue
			}
			r.printf("%s %s attempts=%d calls=%v", s.Path, s.Status, s.Attempts, s.Keys)
			if s.State != "" {
				r.printf(" state=%s", s.State)
			}
			if s.Unknown {
				r.printf(" unknown")
			}
			if len(s.Outputs) > 0 {
				r.printf(" %s", formatJSON(s.Outputs))
			}
			if s.Error != nil {
				r.printf(": %s", formatError(s.Error))
			}
			r.printf("\n")
		}
	case verb == "sensitive":
		r.printf("%s\n", formatJSON(r.m.Sensitive()))
	default:
		t.Fatalf("the script says %q", verb)
	}
}

// apply also prints what followed from the event.
func (r *scriptRunner) apply(e machine.Event) {
	fresh, err := r.fakeHost.apply(e)
	if err != nil {
		r.printf("error: %s\n", err)
		return
	}
	r.print(fresh)
}

func (r *scriptRunner) take(key string) {
	for _, c := range r.calls(false) {
		if c.Key == key {
			r.apply(machine.Taken{At: r.now, Key: key, Fingerprint: c.Fingerprint})
			return
		}
	}
	r.printf("error: the run does not want %s to be taken up\n", key)
}

// advance advances the clock, and fires the timers that are due.
func (r *scriptRunner) advance(until time.Time) {
	for {
		s, ok := r.due()
		if !ok || s.Until.After(until) {
			break
		}
		if s.Until.After(r.now) {
			r.now = s.Until
		}
		r.printf("%s timer %d\n", r.clock(r.now), s.Timer)
		r.apply(machine.Fired{At: r.now, Timer: s.Timer})
	}
	r.now = until
}

func (r *scriptRunner) deliver() {
	for again := true; again; {
		again = false
		for _, a := range wants[machine.Await](r.fakeHost) {
			for _, e := range r.events {
				if e.name != a.Event || e.subject != a.Subject || e.at.Before(a.Since) || !r.m.Wants(a) || r.delivered(a.ID, e.id) {
					continue
				}
				again = true
				r.printf("  %s reaches await %d\n", e.id, a.ID)
				r.apply(machine.Arrived{At: r.now, Await: a.ID, ID: e.id, Data: e.data})
			}
		}
	}
}

func (r *scriptRunner) delivered(await int, id string) bool {
	for _, e := range r.journal {
		if e, ok := e.(machine.Arrived); ok && e.Await == await && e.ID == id {
			return true
		}
	}
	return false
}

func (r *scriptRunner) printf(format string, args ...any) { fmt.Fprintf(&r.out, format, args...) }

func (r *scriptRunner) clock(at time.Time) string {
	if !at.After(r.start.At) {
		if at.Equal(r.start.At) {
			return "0s"
		}
		return at.Format(time.RFC3339)
	}
	return schema.FormatDuration(at.Sub(r.start.At).Round(time.Millisecond))
}

// print prints the steps that ended and the commands, and takes calls up.
func (r *scriptRunner) print(commands []machine.Command) {
	for _, s := range r.m.Ended() {
		r.printf("  %s %s", s.Path, s.Status)
		if s.Attempts > 1 {
			r.printf(" after %d attempts", s.Attempts)
		}
		if len(s.Outputs) > 0 {
			r.printf(" %s", formatJSON(s.Outputs))
		}
		if s.Error != nil {
			r.printf(": %s", formatError(s.Error))
		}
		if s.Note != "" {
			r.printf(" (%s)", s.Note)
		}
		r.printf("\n")
	}
	var calls []string
	awaits := false
	for _, c := range commands {
		switch c := c.(type) {
		case *machine.Call:
			r.printf("  call %d: %s %s %s", callNumber(c.Key), c.Step, c.Action, formatJSON(c.Input))
			for _, word := range []struct {
				say  bool
				text string
			}{
				{c.Connection != "", " as " + c.Connection}, {c.Attempt > 1, fmt.Sprintf(", attempt %d", c.Attempt)},
				{c.Repeatable, ", repeatable"}, {c.InFlight, ", in flight"},
			} {
				if word.say {
					r.printf("%s", word.text)
				}
			}
			r.printf("\n")
			if !c.InFlight && !r.hold {
				calls = append(calls, c.Key)
			}
		case machine.Cancel:
			r.printf("  cancel call %d\n", callNumber(c.Key))
		case machine.Sleep:
			r.printf("  set timer %d to %s\n", c.Timer, r.clock(c.Until))
		case machine.Await:
			awaits = true
			r.printf("  await %d: %s from %s", c.ID, c.Event, c.Subject)
			if c.Connection != "" {
				r.printf(" through %s", c.Connection)
			}
			r.printf(" since %s\n", r.clock(c.Since))
		case machine.Watch:
			r.printf("  watch call %d\n", callNumber(c.Key))
		}
	}
	if result := r.m.Result(); result != nil && !r.over {
		r.over = true
		r.printf("the run %s", result.Status)
		if result.Step != "" {
			r.printf(" in %s", result.Step)
		}
		if result.Error != nil {
			r.printf(": %s", formatError(result.Error))
		}
		r.printf(" %s\n", formatJSON(result.Outputs))
	}
	for _, key := range calls {
		r.take(key)
	}
	if awaits {
		r.deliver()
	}
}

func formatError(e *call.Error) string {
	out := e.Code + ": " + e.Message
	if len(e.Details) > 0 {
		out += " " + formatJSON(e.Details)
	}
	return out
}

func formatJSON(v any) string {
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(formatDurations(v)); err != nil {
		return err.Error()
	}
	return strings.TrimSpace(b.String())
}

// parseLine splits a line into words and the JSON object at its end.
func parseLine(t *testing.T, line string) (words []string, object map[string]any) {
	before, body, ok := strings.Cut(line, "{")
	if ok {
		d := json.NewDecoder(strings.NewReader("{" + body))
		d.UseNumber()
		require.NoError(t, d.Decode(&object), line)
		plain, _ := schema.AnyType.Coerce(object)
		object, _ = plain.(map[string]any)
	}
	return strings.Fields(before), object
}

// parseOutcome reads "failed 131026 retryable after=5s {outputs}".
func parseOutcome(t *testing.T, words []string, output map[string]any) call.Outcome {
	o := call.Outcome{Status: call.Status(words[0]), Output: output}
	if words[0] == "held" {
		o = call.Outcome{Status: call.Failed, Retryable: true, Held: true}
	}
	for _, w := range words[1:] {
		after, isAfter := strings.CutPrefix(w, "after=")
		switch {
		case w == "retryable":
			o.Retryable = true
		case w == "pair":
			o.Retryable, o.Backoff = true, "pair"
		case isAfter:
			d, err := schema.ParseDuration(after)
			require.NoError(t, err)
			o.Retryable, o.After = true, d
		default:
			o.Error = &call.Error{Code: w, Class: "test", Message: "the answer says " + w}
			o.Error.MetaCode, _ = strconv.ParseInt(w, 10, 64)
		}
	}
	return o
}
