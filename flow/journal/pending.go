package journal

import (
	"encoding/binary"
	"errors"

	"zombiezen.com/go/sqlite"
)

// The stored form of a Change: its fields one after another, texts and lists after their
// length, the records at the end. Recipients are hashed: see recipientKey. A form never
// changes; a new one needs new kinds of log entries, see log.go.

func (c Change) encode(b []byte) []byte {
	b = appendText(b, c.Status)
	b = binary.AppendVarint(b, encodeEnd(c.Ended))
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

// encode appends the head of a run, without what its first change says.
func (run Run) encode(b []byte) []byte {
	b = appendText(b, run.ID)
	b = binary.AppendVarint(b, int64(run.Version))
	b = binary.AppendVarint(b, encodeTime(run.Started))
	b = appendText(b, run.By)
	b = appendText(b, run.Lock)
	return appendText(b, run.Inputs)
}

// A pendingRun holds the changes of a run since the last flush, merged: what the tables do
// not have of it yet.
type pendingRun struct {
	seq      int64
	firstRow int64 // of the log: the first with one of its entries
	created  bool  // it is new: its head is not in the tables

	id                string // "" if it is in the tables, and not known
	plan              int64
	version           int64
	started           int64
	by, lock          string
	inputs            []byte
	entries           []logEntry
	status            int64   // 0: unchanged
	ended             int64   // valid if status is
	earlyWaits, waits *[]byte // the last ones without a new status before them, and after one; nil: unchanged
	recipients        []int64 // hashes
	unknowns          []unknownCall
	records           [][]byte // encoded, one of each change

	inline struct { // memory that is enough for most runs
		entries    [2]logEntry
		records    [2][]byte
		recipients [1]int64
		noWaits    []byte
	}
}

func newPendingRun(seq int64, run string) *pendingRun {
	p := &pendingRun{seq: seq, id: run}
	p.entries, p.records, p.recipients = p.inline.entries[:0], p.inline.records[:0], p.inline.recipients[:0]
	return p
}

// size returns about how many bytes of memory it takes.
func (p *pendingRun) size() (n int) {
	for _, e := range p.entries {
		n += e.size()
	}
	return n
}

// An unknownCall says that the outcome of a call is unknown, or not any more.
type unknownCall struct {
	key     string
	settled bool
}

// decodeHead reads what Run.encode wrote.
func (p *pendingRun) decodeHead(in *decoder) {
	p.created, p.ended = true, notEnded
	if id := in.bytes(); p.id != string(id) {
		p.id = string(id)
	}
	p.version = in.varint()
	p.started = in.varint()
	p.by = string(in.bytes())
	p.lock = string(in.bytes())
	if inputs := in.bytes(); len(inputs) > 0 {
		p.inputs = inputs
	}
}

// decodeChange reads what Change.encode wrote, and merges it. code returns the code of a
// status.
func (p *pendingRun) decodeChange(in *decoder, code func(string) (int64, error)) error {
	name, ended := in.bytes(), in.varint()
	if len(name) > 0 {
		status, err := code(string(name))
		if err != nil {
			return err
		}
		p.status, p.ended = status, ended
	}
	if in.count() > 0 {
		waits := in.bytes()
		if p.status == 0 {
			p.earlyWaits = &waits
		} else {
			p.waits = &waits
		}
	}
	if p.status != 0 && p.ended != notEnded {
		p.waits = &p.inline.noWaits
	}
	for range in.count() {
		p.recipients = append(p.recipients, in.varint())
	}
	for range in.count() {
		p.unknowns = append(p.unknowns, unknownCall{string(in.bytes()), false})
	}
	for range in.count() {
		p.unknowns = append(p.unknowns, unknownCall{string(in.bytes()), true})
	}
	if in.invalid {
		return errUnknownForm
	}
	if len(in.rest) > 0 {
		p.records = append(p.records, in.rest)
	}
	return nil
}

// readPending returns a new run as it would be loaded from the tables. Its plan is there.
func (s *store) readPending(conn *sqlite.Conn, p *pendingRun) (run Run, records []Record, err error) {
	h := headReader{conn: conn, withSources: true}
	plan, err := h.plan(p.plan)
	if err != nil {
		return Run{}, nil, err
	}
	for _, b := range p.records {
		part, err := decodeRecords(b)
		if err != nil {
			return Run{}, nil, err
		}
		records = append(records, part...)
	}
	unknown := map[string]bool{}
	for _, c := range p.unknowns {
		if c.settled {
			delete(unknown, c.key)
		} else {
			unknown[c.key] = true
		}
	}
	run = Run{
		Seq: p.seq, ID: p.id, Flow: plan.flow, Digest: plan.digest, Version: int(p.version), Sources: plan.sources,
		Inputs: p.inputs, By: p.by, Lock: p.lock, Started: decodeTime(p.started), Ended: decodeTime(p.ended), Unknown: len(unknown),
	}
	for name, code := range s.statuses {
		if code == p.status {
			run.Status = name
		}
	}
	return run, records, nil
}

var errUnknownForm = errors.New("it holds something in a form that this facteur does not know")
