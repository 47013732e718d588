package whatsapp_test

import (
	"context"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"facteur/actions/whatsapp"
	"facteur/flow/call"
	"facteur/flow/schema"
)

// canned answers every request with the same text.
type canned string

func (c canned) RoundTrip(req *http.Request) (*http.Response, error) {
	_, _ = io.Copy(io.Discard, req.Body)
	return &http.Response{StatusCode: 200, Header: http.Header{"Content-Type": {"application/json"}}, ContentLength: int64(len(c)),
		Body: io.NopCloser(strings.NewReader(string(c))), Request: req}, nil
}

func benchmarkInput(b *testing.B, sig *call.Signature) map[string]any {
	v, found := sig.In.Coerce(map[string]any{
		"sender_phone_id": sender, "recipient": "+33612345678", "message_type": "template",
		"message": goodMessages(b)["template"][1],
	})
	if found.Err() != nil {
		b.Fatal(found)
	}
	return v.(map[string]any)
}

// BenchmarkSend is one send, from the call to its outcome, without the network.
func BenchmarkSend(b *testing.B) {
	set := newSet(b, &credentials{conn: connection("https://graph.facebook.com", token)}, whatsapp.Options{Client: &http.Client{Transport: canned(okBody)}})
	c := send(benchmarkInput(b, set.Action("whatsapp.send_message")))
	b.ReportAllocs()
	for b.Loop() {
		if o := set.Do(context.Background(), c); o.Status != call.Succeeded {
			b.Fatal(o.Error)
		}
	}
}

// BenchmarkCheck is the cost of the rules for an input of which nothing is known from the flow.
func BenchmarkCheck(b *testing.B) {
	sig := newSet(b, nil, whatsapp.Options{}).Action("whatsapp.send_message")
	in := benchmarkInput(b, sig)
	b.ReportAllocs()
	for b.Loop() {
		if found := sig.Check(schema.NewValue(in, nil)); len(found) > 0 {
			b.Fatal(found)
		}
	}
}

// BenchmarkSpecializedCheck is the cost of the rules at a send where the flow determines all
// but the recipient and the texts.
func BenchmarkSpecializedCheck(b *testing.B) {
	sig := newSet(b, nil, whatsapp.Options{}).Action("whatsapp.send_message")
	in := benchmarkInput(b, sig)
	known := schema.EachLeaf(in, func(v any) any {
		if v == "+33612345678" || v == "Jeanne" || v == "7" {
			return schema.Unknown{Type: schema.StringType}
		}
		return v
	})
	check := sig.SpecializeCheck(schema.NewValue(known, nil))
	b.ReportAllocs()
	for b.Loop() {
		if found := check(schema.NewValue(in, nil)); len(found) > 0 {
			b.Fatal(found)
		}
	}
}

// BenchmarkNewRecipient is the cost of parsing a recipient, once for check and send.
func BenchmarkNewRecipient(b *testing.B) {
	sig := newSet(b, nil, whatsapp.Options{}).Action("whatsapp.send_message")
	b.ReportAllocs()
	for n := 10000000; b.Loop(); n++ {
		sig.Check(schema.NewValue(map[string]any{"recipient": "+336" + strconv.Itoa(n)}, nil))
	}
}

// BenchmarkLimits is the cost of the bucket keys and the recipient key of a send.
func BenchmarkLimits(b *testing.B) {
	sig := newSet(b, nil, whatsapp.Options{}).Action("whatsapp.send_message")
	in := benchmarkInput(b, sig)
	b.ReportAllocs()
	for b.Loop() {
		_, _ = sig.Limits("shop", in), sig.Recipient(in)
	}
}
