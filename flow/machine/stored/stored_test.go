package stored_test

import (
	"encoding/json"
	"testing"
	"time"

	"facteur/flow/call"
	"facteur/flow/machine"
	"facteur/flow/machine/stored"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var at = time.Date(2026, 1, 2, 3, 4, 5, 678_000, time.UTC)

func events() []machine.Event {
	err := &call.Error{Code: "131056", MetaCode: 131056, Message: "too fast", Class: "throttle-pair", StatusCode: 400, Details: map[string]any{"subcode": int64(7)}}
	return []machine.Event{
		machine.Taken{At: at, Key: "f1.r.1", Fingerprint: "p"},
		machine.Answered{At: at, Key: "f1.r.1", Outcome: call.Outcome{
			Status: call.Failed, Output: map[string]any{"n": int64(9007199254740993), "f": 1.5, "list": []any{"a", nil, true}}, Error: err,
			Retryable: true, After: time.Second, Backoff: "pair", Throttled: "k", Held: true, Refused: true,
		}},
		machine.Received{At: at, Receipt: call.Receipt{Key: "f1.r.1", ID: "1", State: "sent", Data: map[string]any{"x": "y"}, Error: err}},
		machine.Fired{At: at, Timer: 3},
		machine.Arrived{At: at, Await: 2, ID: "e", Data: map[string]any{"text": "oui"}},
		machine.CancelRequested{At: at, Reason: "late"},
		machine.Retried{At: at, Resend: true},
		machine.Retried{At: at},
		machine.Settled{At: at, Key: "f1.r.1", Happened: true, ID: "wamid"},
	}
}

func TestEvents(t *testing.T) {
	for _, event := range events() {
		one, err := stored.Encode(nil, event)
		require.NoError(t, err)
		text, err := json.Marshal(one)
		require.NoError(t, err)
		var again stored.Record
		require.NoError(t, json.Unmarshal(text, &again))
		back, err := stored.Decode(again)
		require.NoError(t, err)
		assert.Equal(t, event, back)
	}
	_, err := stored.Encode(nil, nil)
	assert.Error(t, err)
	_, err = stored.Decode(stored.Record{Kind: "dreamt"})
	var mismatch *machine.MismatchError
	assert.ErrorAs(t, err, &mismatch)
}

func TestStart(t *testing.T) {
	start := machine.Start{Run: "r", At: at, Inputs: map[string]any{"n": int64(1)}, Seed: []byte{1, 2}, Receipts: true, Gaps: true, Random: []int64{4}}
	one, err := stored.EncodeStart(nil, start)
	require.NoError(t, err)
	back, err := stored.DecodeStart("r", one)
	require.NoError(t, err)
	assert.Equal(t, start, back)
	one.Kind = "taken"
	_, err = stored.DecodeStart("r", one)
	assert.Error(t, err)
}

func TestCall(t *testing.T) {
	c := call.Call{
		Key: "f1.r.1", Run: "r", Step: "send", Attempt: 2, Action: "test.send", Connection: "shop", Input: map[string]any{"n": int64(1), "o": map[string]any{"list": []any{}}},
		Idempotent: true, Timeout: time.Second, Await: "sent",
	}
	text, err := json.Marshal(stored.OfCall(c))
	require.NoError(t, err)
	var again stored.Call
	require.NoError(t, json.Unmarshal(text, &again))
	assert.Equal(t, c, again.Call())
}

// What is read is the same when it was stored again.
func FuzzDecode(f *testing.F) {
	for _, event := range events() {
		one, _ := stored.Encode(nil, event)
		f.Add(one.Kind, []byte(one.Body))
	}
	f.Fuzz(func(t *testing.T, kind string, body []byte) {
		event, err := stored.Decode(stored.Record{At: at, Kind: kind, Body: body})
		if err != nil {
			return
		}
		one, err := stored.Encode(nil, event)
		if err != nil {
			return // a number that JSON has and flows have not
		}
		again, err := stored.Decode(one)
		require.NoError(t, err)
		two, err := stored.Encode(nil, again)
		require.NoError(t, err)
		third, err := stored.Decode(two)
		require.NoError(t, err)
		assert.Equal(t, again, third)
	})
}
