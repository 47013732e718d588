package temporal

import (
	"bytes"
	"compress/flate"
	"errors"
	"fmt"
	"io"
	"sync"

	commonpb "go.temporal.io/api/common/v1"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/temporal"
	"google.golang.org/protobuf/proto"
)

// newConverter returns the data converter for all values on the server: JSON, compressed if
// that is worth it, and sealed.
func newConverter(o Options) converter.DataConverter {
	return converter.NewCodecDataConverter(converter.GetDefaultDataConverter(), &codec{o.Seal, o.Open})
}

// failures returns a failure converter that seals the text of errors, too.
func failures(data converter.DataConverter) converter.FailureConverter {
	return temporal.NewDefaultFailureConverter(temporal.DefaultFailureConverterOptions{DataConverter: data, EncodeCommonAttributes: true})
}

const (
	encodingKey        = converter.MetadataEncoding
	compressedEncoding = "binary/facteur"        // compressed
	sealedEncoding     = "binary/facteur-sealed" // compressed, or not, and sealed
	// minCompressed is the size, in bytes, from which a payload is compressed.
	minCompressed = 512
	// maxDecompressed is the largest size of a decompressed payload, in bytes.
	maxDecompressed = 64 << 20
)

// sealContext is the context of Options.Seal and Open.
const sealContext = "temporal"

// A codec compresses and seals payloads.
type codec struct {
	seal, open func(plain, context []byte) ([]byte, error)
}

// Encode implements converter.PayloadCodec.
func (c *codec) Encode(payloads []*commonpb.Payload) ([]*commonpb.Payload, error) {
	out := make([]*commonpb.Payload, len(payloads))
	for i, p := range payloads {
		if c.seal == nil && proto.Size(p) < minCompressed {
			out[i] = p
			continue
		}
		text, err := proto.Marshal(p)
		if err != nil {
			return nil, err
		}
		if text, err = compress(text); err != nil {
			return nil, err
		}
		encoding := compressedEncoding
		if c.seal != nil {
			encoding = sealedEncoding
			if text, err = c.seal(text, []byte(sealContext)); err != nil {
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
		encoding, text := string(p.GetMetadata()[encodingKey]), p.GetData()
		var err error
		switch sealed := encoding == sealedEncoding; {
		case sealed && c.open == nil:
			return nil, errors.New("what the server gave is sealed, and this host has no key")
		case !sealed && c.open != nil:
			return nil, errors.New("what the server gave is not sealed, and this host takes none that is not")
		case sealed:
			if text, err = c.open(text, []byte(sealContext)); err != nil {
				return nil, fmt.Errorf("open what the server gave: %w", err)
			}
		case encoding != compressedEncoding:
			out[i] = p
			continue
		}
		if text, err = decompress(text); err != nil {
			return nil, fmt.Errorf("read what the server gave: %w", err)
		}
		out[i] = &commonpb.Payload{}
		if err := proto.Unmarshal(text, out[i]); err != nil {
			return nil, fmt.Errorf("read what the server gave: %w", err)
		}
	}
	return out, nil
}

// The first byte of an encoded payload.
const (
	uncompressed = 0
	deflated     = 1
)

// Compressors are large and expensive to make, so they are pooled.
var (
	writers = sync.Pool{New: func() any {
		w, _ := flate.NewWriter(nil, flate.BestSpeed) // fails for an unknown level alone
		return w
	}}
	readers = sync.Pool{New: func() any { return flate.NewReader(nil) }}
)

func compress(text []byte) ([]byte, error) {
	if len(text) < minCompressed {
		return append([]byte{uncompressed}, text...), nil
	}
	var out bytes.Buffer
	out.Grow(len(text) / 2)
	out.WriteByte(deflated)
	w := writers.Get().(*flate.Writer)
	defer writers.Put(w)
	w.Reset(&out)
	_, err := w.Write(text)
	if err == nil {
		err = w.Close()
	}
	return out.Bytes(), err
}

func decompress(text []byte) ([]byte, error) {
	switch {
	case len(text) > 0 && text[0] == uncompressed:
		return text[1:], nil
	case len(text) == 0 || text[0] != deflated:
		return nil, errors.New("it is packed in a way that this version does not know")
	}
	r := readers.Get().(io.Reader)
	defer readers.Put(r)
	if err := r.(flate.Resetter).Reset(bytes.NewReader(text[1:]), nil); err != nil {
		return nil, err
	}
	out, err := io.ReadAll(io.LimitReader(r, maxDecompressed+1))
	if err == nil && len(out) > maxDecompressed {
		err = fmt.Errorf("it holds more than %d bytes", maxDecompressed)
	}
	return out, err
}
