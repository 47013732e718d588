package whatsapp

import (
	"cmp"

	"facteur/actions/whatsapp/graph"
	"facteur/flow/call"
)

// Meta's default limits, in messages a second: for one phone number, and for one recipient
// of a number.
const (
	numberRate = 80
	pairRate   = 1.0 / 6
	pairBurst  = 45
)

// limits returns the token buckets of a send: one for its sender number, one for the pair of
// sender and recipient.
func (o Options) limits(connection string, in map[string]any) []call.Limit {
	sender, rate := senderKey(connection, in), numberRate
	if o.Rate != nil {
		rate = cmp.Or(o.Rate(connection), numberRate)
	}
	return []call.Limit{
		{Key: numberLimit(sender), Rate: float64(rate), Burst: rate, Of: "number"},
		{Key: pairLimit(sender, recipientKey(in)), Rate: pairRate, Burst: pairBurst},
	}
}

// senderKey identifies the sender in bucket keys. Where the step names none, the connection
// stands for its default number, which only the vault knows.
func senderKey(connection string, in map[string]any) string {
	if sender, _ := in["sender_phone_id"].(string); sender != "" {
		return sender
	}
	return "of " + connection
}

func numberLimit(sender string) string { return "whatsapp:number:" + sender }

func pairLimit(sender, recipient string) string { return "whatsapp:pair:" + sender + ":" + recipient }

// recipientKey is the key of a send's recipient. A text that is no recipient is its own key:
// the send itself will report it.
func recipientKey(in map[string]any) string {
	text, _ := in["recipient"].(string)
	if key, err := contactKey(text); err == nil {
		return key
	}
	return text
}

// throttled returns the key of the bucket that an error of the class is about, "" for none.
// An account or an app has no bucket of its own; its numbers are throttled instead.
func throttled(class graph.Class, connection string, in map[string]any) string {
	sender := senderKey(connection, in)
	switch class {
	case graph.ThrottlePair:
		return pairLimit(sender, recipientKey(in))
	case graph.ThrottleNumber, graph.ThrottleApp, graph.ThrottleWABA:
		return numberLimit(sender)
	}
	return ""
}
