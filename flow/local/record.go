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
		At       time.Time      `json:"at"`
		Inputs   map[string]any `json:"inputs"`
		Seed     []byte         `json:"seed"`
		Receipts bool           `json:"receipts,omitempty"`
		Random   []int64        `json:"random,omitempty"`
	}
	takenRow struct {
		Key   string `json:"key"`
		Print string `json:"print"`
	}
	answeredRow struct {
		Key     string       `json:"key"`
		Outcome call.Outcome `json:"outcome"`
	}
	receivedRow struct {
		Receipt call.Receipt `json:"receipt"`
	}
	firedRow struct {
		Timer int `json:"timer"`
	}
	arrivedRow struct {
		Await int            `json:"await"`
		ID    string         `json:"id"`
		Data  map[string]any `json:"data"`
	}
	cancelRow struct {
		Reason string `json:"reason"`
	}
)

func (h *Host) encodeStart(s machine.Start) (journal.Record, error) {
	inputs, _ := schema.Encode(s.Inputs).(map[string]any)
	return h.pack(s.Run, "start", s.At, startRow{s.At, inputs, s.Seed, s.Receipts, s.Random})
}

func (h *Host) decodeStart(run string, r journal.Record) (machine.Start, error) {
	var row startRow
	if r.Kind != "start" {
		return machine.Start{}, &machine.MismatchError{Reason: fmt.Sprintf("its journal starts with %q", r.Kind)}
	}
	if err := h.unpack(run, r, &row); err != nil {
		return machine.Start{}, err
	}
	inputs, _ := plain(row.Inputs).(map[string]any)
	return machine.Start{Run: run, At: row.At, Inputs: inputs, Seed: row.Seed, Receipts: row.Receipts, Random: row.Random}, nil
}

func (h *Host) encode(run string, event machine.Event) (journal.Record, error) {
	switch e := event.(type) {
	case machine.Taken:
		return h.pack(run, "taken", e.At, takenRow{e.Key, e.Print})
	case machine.Answered:
		return h.pack(run, "answered", e.At, answeredRow{e.Key, e.Outcome})
	case machine.Received:
		return h.pack(run, "received", e.At, receivedRow{e.Receipt})
	case machine.Fired:
		return h.pack(run, "fired", e.At, firedRow{e.Timer})
	case machine.Arrived:
		return h.pack(run, "arrived", e.At, arrivedRow{e.Await, e.ID, e.Data})
	case machine.CancelRequested:
		return h.pack(run, "cancel", e.At, cancelRow{e.Reason})
	}
	return journal.Record{}, fmt.Errorf("no stored form for %T", event)
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
		row.Outcome.Output, _ = plain(row.Outcome.Output).(map[string]any)
		plainError(row.Outcome.Error)
		return machine.Answered{At: r.At, Key: row.Key, Outcome: row.Outcome}, err
	case "received":
		var row receivedRow
		err := h.unpack(run, r, &row)
		row.Receipt.Data, _ = plain(row.Receipt.Data).(map[string]any)
		plainError(row.Receipt.Error)
		return machine.Received{At: r.At, Receipt: row.Receipt}, err
	case "fired":
		var row firedRow
		err := h.unpack(run, r, &row)
		return machine.Fired{At: r.At, Timer: row.Timer}, err
	case "arrived":
		var row arrivedRow
		err := h.unpack(run, r, &row)
		data, _ := plain(row.Data).(map[string]any)
		return machine.Arrived{At: r.At, Await: row.Await, ID: row.ID, Data: data}, err
	case "cancel":
		var row cancelRow
		err := h.unpack(run, r, &row)
		return machine.CancelRequested{At: r.At, Reason: row.Reason}, err
	}
	return nil, &machine.MismatchError{Reason: fmt.Sprintf("its journal holds %q, which this version does not know", r.Kind)}
}

func (h *Host) pack(run, kind string, at time.Time, row any) (journal.Record, error) {
	body, err := json.Marshal(row)
	if err != nil {
		return journal.Record{}, fmt.Errorf("store what happened: %w", err)
	}
	if h.opts.Seal != nil {
		sealed, err := h.opts.Seal(body, []byte(run+" "+kind))
		if err != nil {
			return journal.Record{}, fmt.Errorf("seal what happened: %w", err)
		}
		if body, err = json.Marshal(sealed); err != nil {
			return journal.Record{}, err
		}
	}
	return journal.Record{At: at, Kind: kind, Body: body}, nil
}

func (h *Host) unpack(run string, r journal.Record, row any) error {
	body := []byte(r.Body)
	if h.opts.Open != nil {
		var sealed []byte
		err := json.Unmarshal(body, &sealed)
		if err == nil {
			body, err = h.opts.Open(sealed, []byte(run+" "+r.Kind))
		}
		if err != nil {
			return fmt.Errorf("open the record of run %s: %w", run, err)
		}
	}
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	if err := d.Decode(row); err != nil {
		return fmt.Errorf("read the record of run %s: %w", run, err)
	}
	return nil
}

// plain gives decoded JSON the form that values have everywhere.
func plain(v any) any {
	coerced, _ := schema.AnyType.Coerce(v)
	return coerced
}

func plainError(e *call.Error) {
	if e != nil {
		e.Details, _ = plain(e.Details).(map[string]any)
	}
}
