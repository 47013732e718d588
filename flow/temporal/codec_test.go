package temporal_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"facteur/flow/temporal"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	commonpb "go.temporal.io/api/common/v1"
	"google.golang.org/protobuf/proto"
)

// sealedOptions seals by turning bits around, for the place.
func sealedOptions(key byte) temporal.Options {
	code := func(text, place []byte) []byte {
		out := bytes.Clone(text)
		for i := range out {
			out[i] ^= key + byte(len(place))
		}
		return out
	}
	return temporal.Options{
		Seal: func(plain, place []byte) ([]byte, error) { return append([]byte{key}, code(plain, place)...), nil },
		Open: func(sealed, place []byte) ([]byte, error) {
			if len(sealed) == 0 || sealed[0] != key {
				return nil, errors.New("it was sealed with another key")
			}
			return code(sealed[1:], place), nil
		},
	}
}

func payload(text string) []*commonpb.Payload {
	return []*commonpb.Payload{{Metadata: map[string][]byte{"encoding": []byte("json/plain")}, Data: []byte(text)}}
}

func TestCodec(t *testing.T) {
	for name, o := range map[string]temporal.Options{"plain": {}, "sealed": sealedOptions(7)} {
		for size, text := range map[string]string{"empty": "", "short": `"a secret"`, "long": `"` + strings.Repeat("a secret ", 10_000) + `"`} {
			t.Run(name+" "+size, func(t *testing.T) {
				c := temporal.Codec(o)
				encoded, err := c.Encode(payload(text))
				require.NoError(t, err)
				if o.Seal != nil {
					assert.NotContains(t, string(encoded[0].Data), "secret")
				}
				if size == "long" {
					assert.Less(t, proto.Size(encoded[0]), len(text)/10)
				}
				decoded, err := c.Decode(encoded)
				require.NoError(t, err)
				assert.True(t, proto.Equal(payload(text)[0], decoded[0]))
			})
		}
	}
}

func TestCodecRefuses(t *testing.T) {
	plain, _ := temporal.Codec(temporal.Options{}).Encode(payload(strings.Repeat("x", 5000)))
	sealed, _ := temporal.Codec(sealedOptions(7)).Encode(payload("x"))
	for _, tt := range []struct {
		name string
		o    temporal.Options
		give []*commonpb.Payload
		want string
	}{
		{"another key", sealedOptions(9), sealed, "another key"},
		{"no key", temporal.Options{}, sealed, "this host has no key"},
		{"not sealed", sealedOptions(7), payload("x"), "is not sealed"},
		{"not sealed, packed", sealedOptions(7), plain, "is not sealed"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := temporal.Codec(tt.o).Decode(tt.give)
			assert.ErrorContains(t, err, tt.want)
		})
	}
}

// Whatever the server gives, the codec says what is wrong with it, or reads it.
func FuzzCodec(f *testing.F) {
	for _, text := range []string{"", "x", strings.Repeat("x", 5000)} {
		for _, o := range []temporal.Options{{}, sealedOptions(7)} {
			encoded, _ := temporal.Codec(o).Encode(payload(text))
			f.Add(string(encoded[0].Metadata["encoding"]), encoded[0].Data)
		}
	}
	f.Fuzz(func(t *testing.T, encoding string, data []byte) {
		for _, o := range []temporal.Options{{}, sealedOptions(7)} {
			give := []*commonpb.Payload{{Metadata: map[string][]byte{"encoding": []byte(encoding)}, Data: data}}
			decoded, err := temporal.Codec(o).Decode(give)
			if err == nil && len(decoded) != 1 {
				t.Error("a payload was lost")
			}
		}
	})
}

func BenchmarkCodec(b *testing.B) {
	c := temporal.Codec(sealedOptions(7))
	give := payload(`"` + strings.Repeat("what a run begins with, and more; ", 60) + `"`)
	b.ReportAllocs()
	for b.Loop() {
		encoded, err := c.Encode(give)
		if err == nil {
			_, err = c.Decode(encoded)
		}
		if err != nil {
			b.Fatal(err)
		}
	}
}
