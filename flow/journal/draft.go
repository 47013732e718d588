package journal

import (
	"encoding/binary"
	"errors"

	"zombiezen.com/go/sqlite"
)

// The stored form of a Change: what it says of its run, field by field, texts and lists
// after their length, the records at the end. Recipients are hashed: see recipientKey. A
// form never changes; another one gets entries of its own, see log.go.

func (c Change) encode(b []byte) []byte {
	b = appendText(b, c.Status)
	b = binary.AppendVarint(b, end(c.Ended))
	if c.Waits == nil {
		b = append(b, 0)
	} else {
		b = appendText(append(b, 1), c.Waits.encode())
	}
	b = binary.AppendUvarint(b, uint64(len(c.Recipients)))
	for _, recipient := range c.Recipients {
		b = binary.AppendVarint(b, hash(recipient))
	}
	for _, keys := range [...][]string{c.Unknown, c.Settled} {
		b = binary.AppendUvarint(b, uint64(len(keys)))
		for _, key := range keys {
			b = appendText(b, key)
		}
	}
	return encodeRecords(b, c.Records)
}

// encode adds the head of a run to a stored form, but for what its first change says.
func (run Run) encode(b []byte) []byte {
	b = appendText(b, run.ID)
	b = binary.AppendVarint(b, int64(run.Version))
	b = binary.AppendVarint(b, stamp(run.Started))
	b = appendText(b, run.By)
	b = appendText(b, run.Lock)
	return appendText(b, run.Inputs)
}

// A draft is what the tables do not have of a run yet: all that was written of it since
// the last fold, as one.
type draft struct {
	seq     int64
	row     int64 // of the log, the first one that is about it
	created bool  // its head is not in the tables, but here

	id           string // "": of one that is in the tables, and nobody said
	plan         int64
	version      int64
	started      int64
	by, lock     string
	inputs       []byte
	entries      []entry
	status       int64   // 0: as it was
	ended        int64   // with a status
	early, waits *[]byte // given before a status, and then; nil: none were
	recipients   []int64 // hashes
	doubts       []doubt
	records      [][]byte

	few struct { // most runs have not more
		entries    [2]entry
		records    [2][]byte
		recipients [1]int64
		nothing    []byte // that it waits for
	}
}

func newDraft(seq int64, run string) *draft {
	d := &draft{seq: seq, id: run}
	d.entries, d.records, d.recipients = d.few.entries[:0], d.few.records[:0], d.few.recipients[:0]
	return d
}

// size is about how many bytes of memory it takes.
func (d *draft) size() (n int) {
	for _, e := range d.entries {
		n += e.size()
	}
	return n
}

// A doubt says that nobody knows the outcome of a call, or that somebody does now.
type doubt struct {
	key     string
	settled bool
}

// head reads what Run.encode wrote.
func (d *draft) head(in *decoder) {
	d.created, d.ended = true, never
	if id := in.bytes(); d.id != string(id) {
		d.id = string(id)
	}
	d.version = in.signed()
	d.started = in.signed()
	d.by = string(in.bytes())
	d.lock = string(in.bytes())
	if inputs := in.bytes(); len(inputs) > 0 {
		d.inputs = inputs
	}
}

// change reads what Change.encode wrote. code returns the number of a status.
func (d *draft) change(in *decoder, code func(string) (int64, error)) error {
	name, ended := in.bytes(), in.signed()
	if len(name) > 0 {
		status, err := code(string(name))
		if err != nil {
			return err
		}
		d.status, d.ended = status, ended
	}
	if in.count() > 0 {
		waits := in.bytes()
		if d.status == 0 {
			d.early = &waits
		} else {
			d.waits = &waits
		}
	}
	if d.status != 0 && d.ended != never {
		d.waits = &d.few.nothing
	}
	for range in.count() {
		d.recipients = append(d.recipients, in.signed())
	}
	for range in.count() {
		d.doubts = append(d.doubts, doubt{string(in.bytes()), false})
	}
	for range in.count() {
		d.doubts = append(d.doubts, doubt{string(in.bytes()), true})
	}
	if in.bad {
		return errForm
	}
	if len(in.rest) > 0 {
		d.records = append(d.records, in.rest)
	}
	return nil
}

// read returns what a draft says of a new run. Its plan is in the tables.
func (s *store) read(conn *sqlite.Conn, d *draft) (run Run, records []Record, err error) {
	h := heads{conn: conn, sources: true}
	plan, err := h.plan(d.plan)
	if err != nil {
		return Run{}, nil, err
	}
	for _, b := range d.records {
		part, err := decodeRecords(b)
		if err != nil {
			return Run{}, nil, err
		}
		records = append(records, part...)
	}
	unknown := map[string]bool{}
	for _, c := range d.doubts {
		if c.settled {
			delete(unknown, c.key)
		} else {
			unknown[c.key] = true
		}
	}
	run = Run{
		Seq: d.seq, ID: d.id, Flow: plan.flow, Digest: plan.digest, Version: int(d.version), Sources: plan.sources,
		Inputs: d.inputs, By: d.by, Lock: d.lock, Started: instant(d.started), Ended: instant(d.ended), Unknown: len(unknown),
	}
	for name, code := range s.statuses {
		if code == d.status {
			run.Status = name
		}
	}
	return run, records, nil
}

var errForm = errors.New("it holds something in a form that this facteur does not know")
