package local

import (
	"bytes"
	"encoding/json"
	"fmt"
	"time"

	"facteur/flow/call"
	"facteur/flow/journal"
	"facteur/flow/machine"
	"facteur/flow/schema"
)

// The stored forms. Fields may be added; names and meanings never change.
type (
	startRow struct {
		At       time.Time `json:"at"`
		Inputs   object    `json:"inputs"`
		Seed     []byte    `json:"seed"`
		Receipts bool      `json:"receipts,omitempty"`
		Random   []int64   `json:"random,omitempty"`
	}
	takenRow struct {
		Key   string `json:"key"`
		Print string `json:"print"`
	}
	answeredRow struct {
		Key     string     `json:"key"`
		Outcome outcomeRow `json:"outcome"`
	}
	outcomeRow struct {
		Status    call.Status   `json:"status"`
		Output    object        `json:"output,omitempty"`
		Error     *errorRow     `json:"error,omitempty"`
		Retryable bool          `json:"retryable,omitempty"`
		After     time.Duration `json:"after,omitempty"` // in ns
		Backoff   string        `json:"backoff,omitempty"`
		Throttled string        `json:"throttled,omitempty"`
		Held      bool          `json:"held,omitempty"`
		Refused   bool          `json:"refused,omitempty"`
	}
	errorRow struct {
		Code       string `json:"code"`
		MetaCode   int64  `json:"meta_code,omitempty"`
		Message    string `json:"message"`
		Class      string `json:"class,omitempty"`
		StatusCode int64  `json:"status_code,omitempty"`
		Details    object `json:"details,omitempty"`
	}
	receivedRow struct {
		Key   string    `json:"key"`
		ID    string    `json:"id,omitempty"`
		State string    `json:"state"`
		Data  object    `json:"data,omitempty"`
		Error *errorRow `json:"error,omitempty"`
	}
	firedRow struct {
		Timer int `json:"timer"`
	}
	arrivedRow struct {
		Await int    `json:"await"`
		ID    string `json:"id"`
		Data  object `json:"data"`
	}
	cancelRow struct {
		Reason string `json:"reason"`
	}
	retriedRow struct {
		Resend bool `json:"resend,omitempty"`
	}
	settledRow struct {
		Key      string `json:"key"`
		Happened bool   `json:"happened"`
		ID       string `json:"id,omitempty"`
	}
)

// began is the kind of the record that a queued run begins with: its time counts from
// there.
const began = "began"

// An object is a map of plain values.
type object map[string]any

// values gives a decoded object the form that values have everywhere.
func (o object) values() map[string]any {
	if o == nil {
		return nil
	}
	coerced, _ := schema.AnyType.Coerce(map[string]any(o))
	values, _ := coerced.(map[string]any)
	return values
}

func (r *errorRow) error() *call.Error {
	if r == nil {
		return nil
	}
	return &call.Error{Code: r.Code, MetaCode: r.MetaCode, Message: r.Message, Class: r.Class, StatusCode: r.StatusCode, Details: r.Details.values()}
}

func (r outcomeRow) outcome() call.Outcome {
	return call.Outcome{
		Status: r.Status, Output: r.Output.values(), Error: r.Error.error(), Retryable: r.Retryable,
		After: r.After, Backoff: r.Backoff, Throttled: r.Throttled, Held: r.Held, Refused: r.Refused,
	}
}

func (h *Host) decodeStart(run string, r journal.Record) (machine.Start, error) {
	var row startRow
	if r.Kind != "start" {
		return machine.Start{}, &machine.MismatchError{Reason: fmt.Sprintf("its journal starts with %q", r.Kind)}
	}
	if err := h.unpack(run, r, &row); err != nil {
		return machine.Start{}, err
	}
	return machine.Start{Run: run, At: row.At, Inputs: row.Inputs.values(), Seed: row.Seed, Receipts: row.Receipts, Random: row.Random}, nil
}

func (h *Host) decode(run string, r journal.Record) (machine.Event, error) {
	switch r.Kind {
	case "taken":
		var row takenRow
		err := h.unpack(run, r, &row)
		return machine.Taken{At: r.At, Key: row.Key, Print: row.Print}, err
	case "answered":
		var row answeredRow
		err := h.unpack(run, r, &row)
		return machine.Answered{At: r.At, Key: row.Key, Outcome: row.Outcome.outcome()}, err
	case "received":
		var row receivedRow
		err := h.unpack(run, r, &row)
		receipt := call.Receipt{Key: row.Key, ID: row.ID, State: row.State, Data: row.Data.values(), Error: row.Error.error()}
		return machine.Received{At: r.At, Receipt: receipt}, err
	case "fired":
		var row firedRow
		err := h.unpack(run, r, &row)
		return machine.Fired{At: r.At, Timer: row.Timer}, err
	case "arrived":
		var row arrivedRow
		err := h.unpack(run, r, &row)
		return machine.Arrived{At: r.At, Await: row.Await, ID: row.ID, Data: row.Data.values()}, err
	case "cancel":
		var row cancelRow
		err := h.unpack(run, r, &row)
		return machine.CancelRequested{At: r.At, Reason: row.Reason}, err
	case "retried":
		var row retriedRow
		err := h.unpack(run, r, &row)
		return machine.Retried{At: r.At, Resend: row.Resend}, err
	case began:
		return nil, nil
	case "settled":
		var row settledRow
		err := h.unpack(run, r, &row)
		return machine.Settled{At: r.At, Key: row.Key, Happened: row.Happened, ID: row.ID}, err
	}
	return nil, &machine.MismatchError{Reason: fmt.Sprintf("its journal holds %q, which this version does not know", r.Kind)}
}

func (h *Host) unpack(run string, r journal.Record, row any) error {
	return h.open(r.Body, run+" "+r.Kind, "a record of run "+run, row)
}

// seal encrypts what is stored, for its place.
func (h *Host) seal(body []byte, owner, kind string) ([]byte, error) {
	if h.opts.Seal == nil {
		return body, nil
	}
	sealed, err := h.opts.Seal(body, []byte(owner+" "+kind))
	if err != nil {
		return nil, fmt.Errorf("seal it: %w", err)
	}
	return json.Marshal(sealed)
}

// open reads what is stored. what names it, for people.
func (h *Host) open(body []byte, place, what string, row any) error {
	if h.opts.Open != nil {
		var sealed []byte
		if json.Unmarshal(body, &sealed) != nil {
			return fmt.Errorf("open %s: it is not sealed, and this host keeps none that are not", what)
		}
		var err error
		if body, err = h.opts.Open(sealed, []byte(place)); err != nil {
			return fmt.Errorf("open %s: %w", what, err)
		}
	} else if len(body) > 0 && body[0] == '"' {
		return fmt.Errorf("open %s: it is sealed, and this host has no key", what)
	}
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	if err := d.Decode(row); err != nil {
		return fmt.Errorf("read %s: %w", what, err)
	}
	return nil
}
