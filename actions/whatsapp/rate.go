package whatsapp

import (
	"cmp"

	"facteur/actions/whatsapp/graph"
	"facteur/flow/call"
)

// What a sender number may send without an agreement with Meta.
const (
	numberRate = 80 // messages a second and number
	pairRate   = 1.0 / 6
	pairBurst  = 45
)

// limits names the buckets of a send: one of its sender number, one of sender and
// recipient together.
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

// senderKey is the sender of a send. Where the connection names it, only the vault knows
// which it is, so the connection stands for it.
func senderKey(connection string, in map[string]any) string {
	if sender, _ := in["sender_phone_id"].(string); sender != "" {
		return sender
	}
	return "of " + connection
}

func numberLimit(sender string) string { return "whatsapp:number:" + sender }

func pairLimit(sender, recipient string) string { return "whatsapp:pair:" + sender + ":" + recipient }

// recipientKey is the contact of a send; a text that is none stands for itself, because
// the send will say what is wrong with it.
func recipientKey(in map[string]any) string {
	text, _ := in["recipient"].(string)
	if key, err := contactKey(text); err == nil {
		return key
	}
	return text
}

// throttled names the bucket that an error of the class is about. An account has none
// of its own, so its numbers are held back.
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
