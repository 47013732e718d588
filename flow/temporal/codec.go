package temporal

import (
	"bytes"
	"compress/flate"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync"

	commonpb "go.temporal.io/api/common/v1"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/temporal"
	"google.golang.org/protobuf/proto"
)

// newConverter returns how values become what the server is given: JSON, which is
// compressed where that is worth it, and sealed.
func newConverter(o Options) converter.DataConverter {
	return converter.NewCodecDataConverter(converter.GetDefaultDataConverter(), &codec{o.Seal, o.Open})
}

// failures keeps what an error says out of the server's sight.
func failures(data converter.DataConverter) converter.FailureConverter {
	return temporal.NewDefaultFailureConverter(temporal.DefaultFailureConverterOptions{DataConverter: data, EncodeCommonAttributes: true})
}

const (
	encodingKey = converter.MetadataEncoding
	packed      = "binary/facteur"        // compressed
	sealed      = "binary/facteur-sealed" // compressed, or not, and sealed
	// worthwhile is the size, in bytes, from which a payload is compressed.
	worthwhile = 512
	// largest is how many bytes a payload may hold: what is said to be more is refused.
	largest = 64 << 20
)

// place is what a payload is sealed for.
const place = "temporal"

// A codec compresses and seals payloads.
type codec struct {
	seal, open func(plain, context []byte) ([]byte, error)
}

// Encode implements converter.PayloadCodec.
func (c *codec) Encode(payloads []*commonpb.Payload) ([]*commonpb.Payload, error) {
	out := make([]*commonpb.Payload, len(payloads))
	for i, p := range payloads {
		if c.seal == nil && proto.Size(p) < worthwhile {
			out[i] = p
			continue
		}
		text, err := proto.Marshal(p)
		if err != nil {
			return nil, err
		}
		if text, err = pack(text); err != nil {
			return nil, err
		}
		encoding := packed
		if c.seal != nil {
			encoding = sealed
			if text, err = c.seal(text, []byte(place)); err != nil {
				return nil, fmt.Errorf("seal what goes to the server: %w", err)
			}
		}
		out[i] = &commonpb.Payload{Metadata: map[string][]byte{encodingKey: []byte(encoding)}, Data: text}
	}
	return out, nil
}

// Decode implements converter.PayloadCodec.
func (c *codec) Decode(payloads []*commonpb.Payload) ([]*commonpb.Payload, error) {
	out := make([]*commonpb.Payload, len(payloads))
	for i, p := range payloads {
		encoding := string(p.GetMetadata()[encodingKey])
		if encoding != packed && encoding != sealed {
			if c.open != nil {
				return nil, errors.New("what the server gave is not sealed, and this host takes none that is not")
			}
			out[i] = p
			continue
		}
		text, err := p.GetData(), error(nil)
		switch {
		case encoding == sealed && c.open == nil:
			return nil, errors.New("what the server gave is sealed, and this host has no key")
		case encoding == packed && c.open != nil:
			return nil, errors.New("what the server gave is not sealed, and this host takes none that is not")
		case encoding == sealed:
			if text, err = c.open(text, []byte(place)); err != nil {
				return nil, fmt.Errorf("open what the server gave: %w", err)
			}
		}
		if text, err = unpack(text); err != nil {
			return nil, fmt.Errorf("read what the server gave: %w", err)
		}
		out[i] = &commonpb.Payload{}
		if err := proto.Unmarshal(text, out[i]); err != nil {
			return nil, fmt.Errorf("read what the server gave: %w", err)
		}
	}
	return out, nil
}

// The first byte of what is packed says how.
const (
	plainly = 0
	deflate = 1
)

// Compressors are large, and dear to make: they are used again.
var (
	writers = sync.Pool{New: func() any {
		w, _ := flate.NewWriter(nil, flate.BestSpeed) // fails for an unknown level alone
		return w
	}}
	readers = sync.Pool{New: func() any { return flate.NewReader(nil) }}
)

func pack(text []byte) ([]byte, error) {
	if len(text) < worthwhile {
		return append([]byte{plainly}, text...), nil
	}
	var out bytes.Buffer
	out.Grow(len(text) / 2)
	out.WriteByte(deflate)
	w := writers.Get().(*flate.Writer)
	defer writers.Put(w)
	w.Reset(&out)
	_, err := w.Write(text)
	if err == nil {
		err = w.Close()
	}
	return out.Bytes(), err
}

func unpack(text []byte) ([]byte, error) {
	switch {
	case len(text) > 0 && text[0] == plainly:
		return text[1:], nil
	case len(text) > 0 && text[0] == deflate:
		r := readers.Get().(io.Reader)
		defer readers.Put(r)
		if err := r.(flate.Resetter).Reset(bytes.NewReader(text[1:]), nil); err != nil {
			return nil, err
		}
		out, err := io.ReadAll(io.LimitReader(r, largest+1))
		if err == nil && len(out) > largest {
			err = fmt.Errorf("it holds more than %d bytes", largest)
		}
		return out, err
	}
	return nil, errors.New("it is packed in a way that this version does not know")
}

// quietly gives the SDK's talk to a log, one level lower than the SDK thinks: most of it
// is about what is tried again.
type quietly struct{ log *slog.Logger }

func (q quietly) Debug(string, ...any)          {}
func (q quietly) Info(text string, with ...any) { q.log.Debug(text, with...) }
func (q quietly) Warn(text string, with ...any) { q.log.Info(text, with...) }
func (q quietly) Error(text string, with ...any) {
	if text == "Workflow panic" {
		q.standstill(with)
		return
	}
	q.log.Warn(text, with...)
}

// standstill tells of a workflow that does not go on, such as a run of a version that this
// one is not. It is tried again; somebody has to see to it. Where the trace leads is of use
// only when the fault is the program's.
func (q quietly) standstill(with []any) {
	var kept []any
	for i := 0; i+1 < len(with); i += 2 {
		switch with[i] {
		case "WorkflowID", "WorkflowType", "Attempt", "Error":
			kept = append(kept, with[i], with[i+1])
		}
	}
	if said := fmt.Sprint(with...); strings.Contains(said, "runtime error") {
		kept = with
	}
	q.log.Error("a workflow stands still", kept...)
}
