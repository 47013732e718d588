package temporal

import commonpb "go.temporal.io/api/common/v1"

// Codec gives tests what goes to the server.
func Codec(o Options) interface {
	Encode([]*commonpb.Payload) ([]*commonpb.Payload, error)
	Decode([]*commonpb.Payload) ([]*commonpb.Payload, error)
} {
	return &codec{o.Seal, o.Open}
}
