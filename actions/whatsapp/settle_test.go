package whatsapp_test

import (
	"testing"

	"facteur/actions/whatsapp"
	"facteur/flow/call"

	"github.com/stretchr/testify/assert"
)

func TestSettle(t *testing.T) {
	settle := newSet(t, nil, whatsapp.Options{}).Action("whatsapp.send_message").Settle
	for _, tt := range []struct {
		name     string
		want     string
		states   []string
		status   call.Status
		delivery string
	}{
		{"it happened", "", []string{"sent"}, call.Succeeded, "sent"},
		{"it happened, and was read at once", "", []string{"read"}, call.Succeeded, "read"},
		{"wait on", "delivered", []string{"sent"}, call.Pending, "sent"},
		{"delivered", "delivered", []string{"sent", "delivered"}, call.Succeeded, "delivered"},
		{"read without delivered", "delivered", []string{"read"}, call.Succeeded, "read"},
		{"a voice message was played", "read", []string{"played"}, call.Succeeded, "read"},
		{"in the wrong order", "read", []string{"read", "sent"}, call.Succeeded, "read"},
		{"accepted, as its answer said", "", []string{"accepted"}, call.Succeeded, "accepted"},
		{"accepted, and no more", "sent", []string{"accepted"}, call.Pending, "accepted"},
		{"sent, and accepted before", "sent", []string{"sent", "accepted"}, call.Succeeded, "sent"},
		{"failed after it was accepted", "", []string{"failed", "accepted"}, call.Pending, "failed"},
		{"a state that is not known", "sent", []string{"warning"}, call.Pending, "accepted"},
		{"failed", "delivered", []string{"sent", "failed"}, call.Failed, "failed"},
		{"failed after it was delivered", "read", []string{"delivered", "failed"}, call.Pending, "delivered"},
		{"sent, which is heard of after it failed", "", []string{"failed", "sent"}, call.Pending, "failed"},
		{"delivered after it failed", "delivered", []string{"failed", "delivered"}, call.Succeeded, "delivered"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			first := map[string]any{"status_code": int64(200), "success": true, "delivery": "accepted", "fallback_used": false, "message_id": "wamid.X"}
			out, o := first, call.Outcome{}
			for _, state := range tt.states {
				r := call.Receipt{Key: "f1.r.1", State: state}
				if state == "failed" {
					r.Error = &call.Error{Code: "131026", Message: "Message undeliverable"}
				}
				o = settle(nil, out, r, tt.want)
				out = o.Output
			}
			assert.Equal(t, tt.status, o.Status)
			assert.Equal(t, tt.delivery, o.Output["delivery"])
			assert.Equal(t, tt.status == call.Succeeded, o.Output["success"])
			assert.Equal(t, "wamid.X", o.Output["message_id"])
			assert.Equal(t, "accepted", first["delivery"], "the outputs so far are left alone")
			assert.False(t, o.Retryable, "what was accepted is never sent again")
		})
	}
}

func TestSettleOfAnUnknownOutcome(t *testing.T) {
	settle := newSet(t, nil, whatsapp.Options{}).Action("whatsapp.send_message").Settle
	lost := map[string]any{"delivery": "unknown"}
	o := settle(nil, lost, call.Receipt{State: "accepted", Data: map[string]any{"message_id": "wamid.X"}}, "")
	assert.Equal(t, call.Succeeded, o.Status)
	assert.Equal(t, map[string]any{"status_code": int64(0), "success": true, "delivery": "accepted", "fallback_used": false, "message_id": "wamid.X"}, o.Output)
	o = settle(nil, lost, call.Receipt{State: "warning"}, "")
	assert.Equal(t, call.Pending, o.Status)

	o = settle(nil, nil, call.Receipt{State: "sent", Data: map[string]any{"message_id": "wamid.X", "wa_id": "33612345678", "user_id": "FR.1"}}, "")
	assert.Equal(t, call.Succeeded, o.Status)
	assert.Equal(t, map[string]any{"status_code": int64(0), "success": true, "delivery": "sent", "fallback_used": false, "message_id": "wamid.X", "wa_id": "33612345678", "user_id": "FR.1"}, o.Output)

	for _, e := range []*call.Error{{Code: "131047"}, {MetaCode: 131047, Message: "Re-engagement message"}} {
		o = settle(nil, nil, call.Receipt{State: "failed", Error: e}, "")
		assert.Equal(t, call.Failed, o.Status)
		assert.Equal(t, "131047", o.Error.Code)
		assert.Equal(t, int64(131047), o.Error.MetaCode)
		assert.Equal(t, "needs-template", o.Error.Class)
		assert.Equal(t, "never", o.Error.Details["retry"])
		assert.NotEmpty(t, o.Error.Details["help"])
	}
	o = settle(nil, nil, call.Receipt{State: "failed"}, "")
	assert.Equal(t, call.Failed, o.Status)
	assert.NotNil(t, o.Error)
}

func TestSignature(t *testing.T) {
	set := newSet(t, nil, whatsapp.Options{})
	sig := set.Action("whatsapp.send_message")
	assert.Nil(t, sig.Idempotent)
	assert.Equal(t, []string{"sent", "delivered", "read"}, sig.States)
	assert.Equal(t, []string{"biz_opaque_callback_data"}, sig.Volatile)
	in := map[string]any{"sender_phone_id": "1", "recipient": "+44 (0)20 7946 0958"}
	assert.Equal(t, "442079460958", sig.Recipient(in))
	assert.Equal(t, []call.Limit{
		{Key: "whatsapp:number:1", Rate: 80, Burst: 80, Of: "number"},
		{Key: "whatsapp:pair:1:442079460958", Rate: 1.0 / 6, Burst: 45},
	}, sig.Limits("shop", in))
	high := newSet(t, nil, whatsapp.Options{Rate: func(connection string) int { return map[string]int{"shop": 1000}[connection] }}).Action("whatsapp.send_message")
	assert.Equal(t, call.Limit{Key: "whatsapp:number:1", Rate: 1000, Burst: 1000, Of: "number"}, high.Limits("shop", in)[0])
	assert.Equal(t, call.Limit{Key: "whatsapp:number:1", Rate: 80, Burst: 80, Of: "number"}, high.Limits("other", in)[0])
	assert.Equal(t, "number 1", high.Limits("other", in)[0].Name())
	assert.Equal(t, "number of shop", sig.Limits("shop", map[string]any{"recipient": "+442079460958"})[0].Name())
	assert.Empty(t, high.Limits("other", in)[1].Name())
	assert.Equal(t, "US.ENT.1349", sig.Recipient(map[string]any{"recipient": "US.ENT.1349"}))
	assert.Equal(t, "nobody", sig.Recipient(map[string]any{"recipient": "nobody"}))

	e := set.Event("whatsapp.message")
	for text, want := range map[string]string{"+33612345678": "33612345678", "33612345678": "33612345678", "US.1349": "US.1349", " +33 6 12 34 56 78 ": "33612345678"} {
		got, err := e.Subject(text)
		assert.NoError(t, err)
		assert.Equal(t, want, got)
	}
	for _, text := range []string{"", "oui", "0612345678", "+0"} {
		_, err := e.Subject(text)
		assert.Error(t, err, text)
	}
	assert.True(t, e.SinceCall)
}
