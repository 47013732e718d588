package child

import (
	_ "embed" // the flow
	"fmt"
)

// Flow is the measured flow: one step, which sends one message. Its inputs are sender and phone.
//
//go:embed send.flow.yaml
var Flow string

// Names and values that Flow uses.
const (
	FlowName   = "send"
	Connection = "bench"
	Token      = "token-of-the-bench"
	Version    = "v23.0" // of the API, where a connection names none
)

// Body is the body of the request that a run of Flow sends, a format for the recipient and the
// call's key.
const Body = `{"messaging_product":"whatsapp","recipient_type":"individual","to":"%s","type":"text","text":{"body":"Votre colis est parti."},"biz_opaque_callback_data":"%s"}`

// Sender returns the sender of the n-th message.
func (s Setup) Sender(n int) string { return s.Senders[n%len(s.Senders)] }

// Recipient returns the recipient of the n-th message, different for ten million messages.
func (s Setup) Recipient(n int) string { return fmt.Sprintf("+336%d%07d", s.Prefix, n%10_000_000) }

// Inputs returns the inputs of the n-th run of Flow.
func (s Setup) Inputs(n int) map[string]any {
	return map[string]any{"sender": s.Sender(n), "phone": s.Recipient(n)}
}
