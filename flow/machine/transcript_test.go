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

// TestTranscripts plays the conversations between machines and their worlds that are
// written down in testdata/machine; README.md there says how to read them. Each run is
// then resumed from every prefix of its journal.
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

// A player carries out a script and writes down what the machine says to it.
type player struct {
	*world
	out  strings.Builder
	hold bool // calls are taken up only when the script says so
	over bool
}

func play(t *testing.T, p *plan.Plan, script string) string {
	pl := &player{}
	for line := range strings.SplitSeq(strings.TrimSuffix(script, "\n"), "\n") {
		if !strings.HasPrefix(line, ">") && !strings.HasPrefix(line, "#") && line != "" {
			continue
		}
		pl.out.WriteString(line + "\n")
		if command, ok := strings.CutPrefix(line, ">"); ok {
			verb, rest, _ := strings.Cut(strings.TrimSpace(command), " ")
			pl.do(t, p, verb, rest)
		}
	}
	require.NotNil(t, pl.world, "the script has no > start")
	pl.checkResume()
	return pl.out.String()
}

func (pl *player) do(t *testing.T, p *plan.Plan, verb, rest string) {
	words, object := split(t, rest)
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
		pl.world = newWorld(t, p, s)
		pl.say(pl.asked)
	case strings.HasPrefix(verb, "+"):
		d, err := schema.ParseDuration(verb[1:])
		require.NoError(t, err)
		pl.pass(pl.now.Add(d))
	case verb == "hold":
		pl.hold = true
	case verb == "take":
		pl.take(key)
	case verb == "answer":
		pl.apply(machine.Answered{At: pl.now, Key: key, Outcome: outcome(t, words[1:], object)})
	case verb == "receipt":
		pl.ids++
		r := call.Receipt{Key: key, ID: "r" + strconv.Itoa(pl.ids), State: word(1), Data: object}
		for _, w := range words[2:] {
			if id, ok := strings.CutPrefix(w, "id="); ok {
				r.ID = id
			} else {
				r.Error = &call.Error{Code: w, Class: "permanent", Message: "the receipt says " + w}
			}
		}
		pl.apply(machine.Received{At: pl.now, Receipt: r})
	case verb == "event":
		pl.ids++
		o := occurrence{id: "e" + strconv.Itoa(pl.ids), name: word(0), subject: word(1), at: pl.now, data: object}
		if id, ok := strings.CutPrefix(word(2), "id="); ok {
			o.id = id
		}
		pl.past = append(pl.past, o)
		pl.offer()
	case verb == "cancel":
		pl.apply(machine.CancelRequested{At: pl.now, Reason: rest})
	case verb == "retry":
		e := machine.Retried{At: pl.now, Resend: word(0) == "resend"}
		if err := pl.m.Retryable(e.Resend); err != nil {
			pl.printf("error: %s\n", err)
			return
		}
		pl.over = false
		pl.apply(e)
	case verb == "settle":
		e, err := pl.m.Settlement(word(0), word(1) == "sent", word(2), pl.now)
		if err != nil {
			pl.printf("error: %s\n", err)
			return
		}
		pl.apply(e)
	case verb == "unknown":
		pl.printf("%v\n", pl.m.Unknown())
	case verb == "crash": // all that is left is the journal
		m := machine.New(pl.plan, pl.start)
		for _, e := range pl.journal {
			require.NoError(t, m.Apply(e))
		}
		m.Ended()
		pl.m = m
		pl.asked = m.Next()
		pl.say(pl.asked)
	case verb == "steps":
		for _, s := range pl.m.Steps() {
			pl.printf("%s %s %s attempts=%d calls=%v\n", s.Path, s.Kind, s.Status, s.Attempts, s.Keys)
		}
	case verb == "report":
		for _, s := range pl.m.Steps() {
			if s.Path != rest && rest != "" {
				continue
			}
			pl.printf("%s %s attempts=%d calls=%v", s.Path, s.Status, s.Attempts, s.Keys)
			if s.State != "" {
				pl.printf(" state=%s", s.State)
			}
			if s.Unknown {
				pl.printf(" unknown")
			}
			if len(s.Outputs) > 0 {
				pl.printf(" %s", text(s.Outputs))
			}
			if s.Error != nil {
				pl.printf(": %s", problem(s.Error))
			}
			pl.printf("\n")
		}
	case verb == "sensitive":
		pl.printf("%s\n", text(pl.m.Sensitive()))
	default:
		t.Fatalf("the script says %q", verb)
	}
}

// apply also shows what followed from the event.
func (pl *player) apply(e machine.Event) {
	fresh, err := pl.world.apply(e)
	if err != nil {
		pl.printf("error: %s\n", err)
		return
	}
	pl.say(fresh)
}

func (pl *player) take(key string) {
	for _, c := range pl.calls(false) {
		if c.Key == key {
			pl.apply(machine.Taken{At: pl.now, Key: key, Print: c.Print})
			return
		}
	}
	pl.printf("error: the run does not want %s to be taken up\n", key)
}

// pass lets time pass, and the timers of that time fire.
func (pl *player) pass(until time.Time) {
	for {
		s, ok := pl.due()
		if !ok || s.Until.After(until) {
			break
		}
		if s.Until.After(pl.now) {
			pl.now = s.Until
		}
		pl.printf("%s timer %d\n", pl.clock(pl.now), s.Timer)
		pl.apply(machine.Fired{At: pl.now, Timer: s.Timer})
	}
	pl.now = until
}

func (pl *player) offer() {
	for again := true; again; {
		again = false
		for _, a := range wants[machine.Await](pl.world) {
			for _, o := range pl.past {
				if o.name != a.Event || o.subject != a.Subject || o.at.Before(a.Since) || !pl.m.Wants(a) || pl.arrived(a.ID, o.id) {
					continue
				}
				again = true
				pl.printf("  %s reaches await %d\n", o.id, a.ID)
				pl.apply(machine.Arrived{At: pl.now, Await: a.ID, ID: o.id, Data: o.data})
			}
		}
	}
}

func (pl *player) arrived(await int, id string) bool {
	for _, e := range pl.journal {
		if e, ok := e.(machine.Arrived); ok && e.Await == await && e.ID == id {
			return true
		}
	}
	return false
}

func (pl *player) printf(format string, args ...any) { fmt.Fprintf(&pl.out, format, args...) }

func (pl *player) clock(at time.Time) string {
	if !at.After(pl.start.At) {
		if at.Equal(pl.start.At) {
			return "0s"
		}
		return at.Format(time.RFC3339)
	}
	return schema.FormatDuration(at.Sub(pl.start.At).Round(time.Millisecond))
}

// say writes down what ended and what is wanted, and takes calls up.
func (pl *player) say(commands []machine.Command) {
	for _, s := range pl.m.Ended() {
		pl.printf("  %s %s", s.Path, s.Status)
		if s.Attempts > 1 {
			pl.printf(" after %d attempts", s.Attempts)
		}
		if len(s.Outputs) > 0 {
			pl.printf(" %s", text(s.Outputs))
		}
		if s.Error != nil {
			pl.printf(": %s", problem(s.Error))
		}
		if s.Note != "" {
			pl.printf(" (%s)", s.Note)
		}
		pl.printf("\n")
	}
	var calls []string
	awaits := false
	for _, c := range commands {
		switch c := c.(type) {
		case *machine.Call:
			pl.printf("  call %d: %s %s %s", number(c.Key), c.Step, c.Action, text(c.Input))
			for _, word := range []struct {
				say  bool
				text string
			}{
				{c.Connection != "", " as " + c.Connection}, {c.Attempt > 1, fmt.Sprintf(", attempt %d", c.Attempt)},
				{c.Repeatable, ", repeatable"}, {c.InFlight, ", in flight"},
			} {
				if word.say {
					pl.printf("%s", word.text)
				}
			}
			pl.printf("\n")
			if !c.InFlight && !pl.hold {
				calls = append(calls, c.Key)
			}
		case machine.Cancel:
			pl.printf("  cancel call %d\n", number(c.Key))
		case machine.Sleep:
			pl.printf("  set timer %d to %s\n", c.Timer, pl.clock(c.Until))
		case machine.Await:
			awaits = true
			pl.printf("  await %d: %s from %s", c.ID, c.Event, c.Subject)
			if c.Connection != "" {
				pl.printf(" through %s", c.Connection)
			}
			pl.printf(" since %s\n", pl.clock(c.Since))
		case machine.Watch:
			pl.printf("  watch call %d\n", number(c.Key))
		}
	}
	if r := pl.m.Result(); r != nil && !pl.over {
		pl.over = true
		pl.printf("the run %s", r.Status)
		if r.Step != "" {
			pl.printf(" in %s", r.Step)
		}
		if r.Error != nil {
			pl.printf(": %s", problem(r.Error))
		}
		pl.printf(" %s\n", text(r.Outputs))
	}
	for _, key := range calls {
		pl.take(key)
	}
	if awaits {
		pl.offer()
	}
}

func problem(e *call.Error) string {
	out := e.Code + ": " + e.Message
	if len(e.Details) > 0 {
		out += " " + text(e.Details)
	}
	return out
}

func text(v any) string {
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(texts(v)); err != nil {
		return err.Error()
	}
	return strings.TrimSpace(b.String())
}

// split takes a line apart: words, and the JSON object at its end.
func split(t *testing.T, line string) (words []string, object map[string]any) {
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

// outcome reads "failed 131026 retryable after=5s {outputs}".
func outcome(t *testing.T, words []string, output map[string]any) call.Outcome {
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
