package journal

import (
	"encoding/binary"

	"facteur/sqlitefile"

	"zombiezen.com/go/sqlite"
)

// appendText appends a text after its length.
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

// columnTexts reads what encodeTexts wrote.
func columnTexts(row *sqlite.Stmt, col int) (texts []string) {
	d := decoder{rest: sqlitefile.Blob(row, col)}
	for len(d.rest) > 0 {
		texts = append(texts, string(d.bytes()))
	}
	return texts
}

// encodeRecords appends records.
func encodeRecords(b []byte, records []Record) []byte {
	for _, r := range records {
		b = binary.AppendVarint(b, encodeTime(r.At))
		b = appendText(b, r.Kind)
		b = appendText(b, r.Body)
	}
	return b
}

// decodeRecords reads what encodeRecords wrote. The records share the memory of b.
func decodeRecords(b []byte) (records []Record, err error) {
	d := decoder{rest: b}
	for len(d.rest) > 0 {
		r := Record{At: decodeTime(d.varint()), Kind: string(d.bytes())}
		if body := d.bytes(); len(body) > 0 {
			r.Body = body[:len(body):len(body)]
		}
		records = append(records, r)
	}
	if d.invalid {
		return nil, errUnknownForm
	}
	return records, nil
}

// A decoder reads a stored form. At its end it reads zeros, so that fields can be added to a
// form. After malformed input it is invalid, and at its end.
type decoder struct {
	rest    []byte
	invalid bool
}

func (d *decoder) varint() int64 {
	v, n := binary.Varint(d.rest)
	d.advance(n)
	return v
}

func (d *decoder) uvarint() int64 {
	v, n := binary.Uvarint(d.rest)
	d.advance(n)
	return int64(v)
}

// uint64 reads a number of eight bytes, big-endian.
func (d *decoder) uint64() uint64 {
	if len(d.rest) < 8 {
		d.rest, d.invalid = nil, true
		return 0
	}
	v := binary.BigEndian.Uint64(d.rest)
	d.rest = d.rest[8:]
	return v
}

// count reads how many things follow, each of which takes a byte or more.
func (d *decoder) count() int {
	v, n := binary.Uvarint(d.rest)
	d.advance(n)
	if v > uint64(len(d.rest)) {
		d.rest, d.invalid = nil, true
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

// advance skips a varint of n bytes; less than one means that there was none.
func (d *decoder) advance(n int) {
	if n > 0 {
		d.rest = d.rest[n:]
		return
	}
	d.invalid = d.invalid || len(d.rest) > 0
	d.rest = nil
}

// A stringPool interns strings.
type stringPool map[string]string

func (p stringPool) string(b []byte) string {
	s, ok := p[string(b)]
	if !ok {
		s = string(b)
		p[s] = s
	}
	return s
}
