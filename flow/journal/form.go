package journal

import (
	"encoding/binary"

	"facteur/sqlitefile"

	"zombiezen.com/go/sqlite"
)

// appendText adds a text to a stored form, after its length.
func appendText[T ~string | ~[]byte](b []byte, text T) []byte {
	b = binary.AppendUvarint(b, uint64(len(text)))
	return append(b, text...)
}

func encodeTexts(texts []string) (b []byte) {
	for _, text := range texts {
		b = appendText(b, text)
	}
	return b
}

// textsOf reads what encodeTexts wrote.
func textsOf(row *sqlite.Stmt, col int) (texts []string) {
	d := decoder{rest: sqlitefile.Blob(row, col)}
	for len(d.rest) > 0 {
		texts = append(texts, string(d.bytes()))
	}
	return texts
}

// encodeRecords adds records to a stored form.
func encodeRecords(b []byte, records []Record) []byte {
	for _, r := range records {
		b = binary.AppendVarint(b, stamp(r.At))
		b = appendText(b, r.Kind)
		b = appendText(b, r.Body)
	}
	return b
}

// decodeRecords reads what encodeRecords wrote. They share the memory of b.
func decodeRecords(b []byte) (records []Record, err error) {
	d := decoder{rest: b}
	for len(d.rest) > 0 {
		r := Record{At: instant(d.signed()), Kind: string(d.bytes())}
		if body := d.bytes(); len(body) > 0 {
			r.Body = body[:len(body):len(body)]
		}
		records = append(records, r)
	}
	if d.bad {
		return nil, errForm
	}
	return records, nil
}

// A decoder reads what is left of a stored form. Behind its end are zeros. After something
// that cannot be it is bad, and at its end.
type decoder struct {
	rest []byte
	bad  bool
}

func (d *decoder) signed() int64 {
	v, n := binary.Varint(d.rest)
	d.skip(n)
	return v
}

func (d *decoder) unsigned() int64 {
	v, n := binary.Uvarint(d.rest)
	d.skip(n)
	return int64(v)
}

// fixed reads a number of eight bytes.
func (d *decoder) fixed() uint64 {
	if len(d.rest) < 8 {
		d.rest, d.bad = nil, true
		return 0
	}
	v := binary.BigEndian.Uint64(d.rest)
	d.rest = d.rest[8:]
	return v
}

// count reads how many things follow, each of which takes a byte or more.
func (d *decoder) count() int {
	v, n := binary.Uvarint(d.rest)
	d.skip(n)
	if v > uint64(len(d.rest)) {
		d.rest, d.bad = nil, true
		return 0
	}
	return int(v)
}

func (d *decoder) bytes() []byte {
	n := d.count()
	b := d.rest[:n]
	d.rest = d.rest[n:]
	return b
}

// skip goes on behind a number of so many bytes; less than one is none.
func (d *decoder) skip(n int) {
	if n > 0 {
		d.rest = d.rest[n:]
		return
	}
	d.bad = d.bad || len(d.rest) > 0
	d.rest = nil
}

// interned are strings that are kept once.
type interned map[string]string

func (m interned) string(b []byte) string {
	s, ok := m[string(b)]
	if !ok {
		s = string(b)
		m[s] = s
	}
	return s
}
