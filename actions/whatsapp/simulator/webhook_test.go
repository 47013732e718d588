package simulator_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"facteur/actions/whatsapp/simulator"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func hooked(t testing.TB, change ...func(*simulator.Options)) (*stage, *receiver) {
	hook := newReceiver(t)
	o := simulator.Options{Clock: simulator.Frozen(start), Templates: approved(t), Scene: simulator.Scene{Webhook: simulator.Webhook{URL: hook.URL}}}
	for _, c := range change {
		c(&o)
	}
	return newStage(t, o), hook
}

func TestMagicStatuses(t *testing.T) {
	for to, want := range map[string]string{
		"+33612345678": "sent delivered",
		"+33536490001": "",
		"+33536490002": "sent",
		"+33536490003": "sent delivered read",
		"+33536490004": "read",
		"+33536490005": "delivered sent",
		"+33536490006": "sent sent delivered delivered",
		"+33536490010": "sent delivered read message:text",
		"+33536490013": "sent delivered read message:text",
		"+33536490014": "sent delivered read message:interactive",
		"+33536490015": "sent delivered read message:interactive",
		"+33536490016": "sent delivered read message:reaction",
		"+33536490017": "sent delivered read message:image",
		"+33261911047": "failed",
	} {
		s, hook := hooked(t)
		status, answer := s.post(messages, `{"messaging_product":"whatsapp","to":"`+to+`","type":"interactive","interactive":{"type":"button","body":{"text":"Alors ?"},"action":{"buttons":[{"type":"reply","reply":{"id":"yes","title":"Oui"}},{"type":"reply","reply":{"id":"no","title":"Non"}}]}},"biz_opaque_callback_data":"f1.a.1"}`)
		require.Equal(t, http.StatusOK, status, answer)
		s.Advance(time.Minute)
		s.idle()
		found := hook.told(t)
		assert.Equal(t, want, strings.Join(statuses(found), " "), to)
		var last string
		for _, n := range found {
			if n.Kind == "message" {
				last = n.Text + "/" + n.ReplyID
			} else {
				assert.Equal(t, "f1.a.1", n.CallbackData)
			}
		}
		switch to {
		case "+33536490010":
			assert.Equal(t, "oui/", last)
		case "+33536490013":
			assert.Equal(t, "Alors ?/", last)
		case "+33536490014":
			assert.Equal(t, "Oui/yes", last)
		case "+33536490015":
			assert.Equal(t, "Non/no", last)
		}
	}
}

// The quick replies of a template that is not known can be pressed all the same.
func TestMagicPressOfAStrangeTemplate(t *testing.T) {
	for to, want := range map[string]string{"+33536490014": "yes:7", "+33536490015": "no:7"} {
		s, hook := hooked(t, func(o *simulator.Options) { o.Templates = nil })
		status, answer := s.post(messages, `{"messaging_product":"whatsapp","to":"`+to+`","type":"template","template":{"name":"remind","language":{"code":"fr"},"components":[
			{"type":"body","parameters":[{"type":"text","text":"9 h"}]},
			{"type":"button","sub_type":"quick_reply","index":0,"parameters":[{"type":"payload","payload":"yes:7"}]},
			{"type":"button","sub_type":"quick_reply","index":1,"parameters":[{"type":"payload","payload":"no:7"}]}]}}`)
		require.Equal(t, http.StatusOK, status, answer)
		s.Advance(time.Minute)
		s.idle()
		var replies []string
		for _, n := range hook.told(t) {
			if n.Kind == "message" {
				replies = append(replies, n.Type+" "+n.ReplyID)
			}
		}
		assert.Equal(t, []string{"button " + want}, replies)
	}
}

func TestStatusesComeInTheirTime(t *testing.T) {
	s, hook := hooked(t, func(o *simulator.Options) {
		o.Scene.Statuses = simulator.Statuses{Sent: simulator.Duration(time.Second), Delivered: simulator.Duration(time.Minute), Read: simulator.Duration(time.Hour)}
	})
	require.Zero(t, s.code(texts("+33612345678")))
	for _, step := range []struct {
		d    time.Duration
		want []string
	}{{999 * time.Millisecond, nil}, {time.Millisecond, []string{"sent"}}, {58 * time.Second, []string{"sent"}}, {time.Second, []string{"sent", "delivered"}}, {time.Hour, []string{"sent", "delivered", "read"}}} {
		s.Advance(step.d)
		s.idle()
		assert.Equal(t, step.want, statuses(hook.told(t)))
	}
	for i, n := range hook.told(t) {
		assert.Equal(t, start.Add([]time.Duration{time.Second, time.Minute, time.Hour}[i]), n.Timestamp)
	}
}

func TestLateAndHeld(t *testing.T) {
	s, hook := hooked(t)
	require.Zero(t, s.code(texts("+33536490007")))
	require.Zero(t, s.code(texts("+33536490030")))
	require.Zero(t, s.code(texts("+33536490031")))
	assert.Equal(t, "held_for_quality_assessment", s.Accepted(simulator.Filter{Person: "+33536490030"})[0].State)
	s.Advance(time.Minute)
	s.idle()
	assert.Empty(t, hook.told(t))
	s.Advance(5 * time.Minute)
	s.idle()
	found := hook.told(t)
	assert.Equal(t, []string{"delivered", "failed", "sent"}, sorted(statuses(found)))
	s.Advance(time.Hour)
	s.idle()
	assert.Len(t, hook.told(t), 5)

	require.NoError(t, s.ChangeTemplate(simulator.TemplateChange{Name: "order_shipped", Quality: "held"}))
	_, answer := s.post(messages, `{"messaging_product":"whatsapp","to":"+33612345678","type":"template","template":{"name":"order_shipped","language":{"code":"fr"},"components":[{"type":"body","parameters":[{"type":"text","text":"a"},{"type":"text","text":"b"}]}]}}`)
	assert.Contains(t, answer, `"message_status":"held_for_quality_assessment"`)
}

func TestFirstMessagesOnly(t *testing.T) {
	s, _ := hooked(t)
	for i, code := range []int64{130429, 131056, 131000, 131047} {
		to := fmt.Sprintf("+3353649004%d", i)
		assert.Equal(t, code, s.code(texts(to)))
		assert.Zero(t, s.code(texts(to)))
	}
	require.NoError(t, s.Reset())
	assert.EqualValues(t, 130429, s.code(texts("+33536490040")))
}

// TestWhatIsNotTakenComesAgain: back-off grows, later webhooks do not wait, and after
// seven days nobody tries any more.
func TestWhatIsNotTakenComesAgain(t *testing.T) {
	s, hook := hooked(t)
	hook.answer = func(n int) int {
		if n <= 3 {
			return http.StatusInternalServerError
		}
		return http.StatusOK
	}
	require.Zero(t, s.code(texts("+33612345678")))
	s.Advance(450 * time.Millisecond)
	s.idle()
	assert.Equal(t, 2, s.Counts().Webhooks.Waiting)
	assert.Equal(t, 2, s.Counts().Webhooks.Failed)
	assert.Empty(t, hook.told(t))
	s.Advance(time.Second) // the third attempt fails, the fourth does not
	s.idle()
	assert.Len(t, hook.told(t), 1)
	s.Advance(3900 * time.Millisecond)
	s.idle()
	assert.Len(t, hook.told(t), 1)
	s.Advance(time.Second)
	s.idle()
	assert.Equal(t, []string{"delivered", "sent"}, sorted(statuses(hook.told(t))))
	assert.Equal(t, simulator.Webhooks{Delivered: 2, Failed: 3}, s.Counts().Webhooks)

	hook.answer = func(int) int { return http.StatusServiceUnavailable }
	require.Zero(t, s.code(texts("+33536490002")))
	for range 8 * 24 {
		s.Advance(time.Hour)
		s.idle()
	}
	c := s.Counts().Webhooks
	assert.Equal(t, 1, c.Dropped)
	assert.Zero(t, c.Waiting)
	assert.Greater(t, c.Failed, 150)
}

// TestBatches: what waits is told together, and nothing of it twice.
func TestBatches(t *testing.T) {
	s, hook := hooked(t, func(o *simulator.Options) { o.Scene.Webhook.Batch = 50 })
	for range 30 {
		require.Zero(t, s.code(texts("+33612345678")))
	}
	s.Advance(time.Minute)
	s.idle()
	assert.Len(t, hook.told(t), 60)
	assert.Less(t, len(hook.bodies), 60)
	assert.Zero(t, s.Counts().Webhooks.Waiting)
	assert.Equal(t, len(hook.bodies), s.Counts().Webhooks.Delivered)
}

func TestSubscribe(t *testing.T) {
	s, hook := hooked(t, func(o *simulator.Options) { o.Scene.Webhook = simulator.Webhook{} })
	ctx := context.Background()
	assert.ErrorContains(t, s.Subscribe(ctx, simulator.Webhook{URL: hook.URL, VerifyToken: "wrong"}), "status 403 instead of 200")
	assert.ErrorContains(t, s.Subscribe(ctx, simulator.Webhook{URL: "ftp://x"}), "not a webhook URL")
	assert.ErrorContains(t, s.Subscribe(ctx, simulator.Webhook{URL: "http://127.0.0.1:1/"}), "does not answer")
	require.NoError(t, s.Subscribe(ctx, simulator.Webhook{URL: hook.URL, VerifyToken: "verify-1"}))
	require.Zero(t, s.code(texts("+33612345678")))
	s.Advance(time.Minute)
	s.idle()
	assert.Len(t, hook.told(t), 2)

	waba := "/v23.0/" + simulator.DefaultAccountID + "/subscribed_apps"
	_, answer := s.do("GET", waba, "", "")
	assert.Contains(t, answer, simulator.DefaultAppID)
	status, answer := s.post(waba, `{"override_callback_uri":"`+hook.URL+`","verify_token":"wrong"}`)
	assert.Equal(t, 400, status)
	assert.EqualValues(t, 2200, apiError(t, answer).Code, "the client has advice for it")
	status, _ = s.do("POST", waba+"?override_callback_uri="+hook.URL+"&verify_token=verify-1", "", "")
	assert.Equal(t, 200, status)
	_, answer = s.do("GET", waba, "", "")
	assert.Contains(t, answer, "override_callback_uri")
	_, _ = s.do("DELETE", waba, "", "")
	_, answer = s.do("GET", waba, "", "")
	assert.JSONEq(t, `{"data":[]}`, answer)
	require.Zero(t, s.code(texts("+33612345678")))
	s.Advance(time.Minute)
	s.idle()
	assert.Len(t, hook.told(t), 2, "nobody is subscribed")
}

// TestEachKindOfMessageFromPeople is read as what it is.
func TestEachKindOfMessageFromPeople(t *testing.T) {
	s, hook := hooked(t)
	_, answer := s.post(messages, texts("+33612345678"))
	id := answer[strings.Index(answer, "wamid"):]
	id = id[:strings.IndexByte(id, '"')]
	for i, in := range []simulator.Inbound{
		{Text: "oui / 👍"}, {Type: "image", Text: "le colis"}, {Type: "video"}, {Type: "audio"}, {Type: "document", Text: "facture"}, {Type: "sticker"}, {Type: "location"}, {Type: "contacts"},
		{Type: "reaction", Text: "❤️", ReplyTo: id}, {Type: "button", Text: "Merci"}, {Type: "order", Text: "sans sucre"}, {Type: "system"}, {Type: "unsupported"}, {Type: "request_welcome"},
		{Type: "interactive", Object: map[string]any{"type": "button_reply", "button_reply": map[string]any{"id": "1", "title": "Oui"}}},
	} {
		in.From, in.Name = "+33612345678", "Ada"
		_, err := s.Send(in)
		require.NoError(t, err)
		s.idle()
		found := hook.told(t)
		require.Len(t, found, i+1)
		n := found[i]
		assert.Equal(t, "message", n.Kind)
		want := in.Type
		if want == "" {
			want = "text"
		}
		assert.Equal(t, want, n.Type)
		assert.Empty(t, n.Note)
		assert.Equal(t, "+33612345678", n.From)
		assert.Equal(t, "Ada", n.ProfileName)
		_, isEvent := n.Event()
		assert.Equal(t, in.Type != "system", isEvent, in.Type) // which is said of them, not by them
		m := s.Messages(simulator.Filter{Limit: 1})[0]
		assert.NotZero(t, m.Bubble())
	}
	m, _ := s.Message(id)
	assert.Equal(t, []simulator.Reaction{{Emoji: "❤️", Person: true}}, m.Reactions)
	for _, in := range []simulator.Inbound{{}, {From: "+33612345678"}, {From: "+33612345678", Type: "fax"}, {From: "+33612345678", Type: "interactive"}, {From: "+33612345678", To: "x", Text: "a"}} {
		_, err := s.Send(in)
		assert.Error(t, err)
	}
}

func TestTap(t *testing.T) {
	s, hook := hooked(t)
	send := func(message string) string {
		status, answer := s.post(messages, `{"messaging_product":"whatsapp","to":"+33612345678",`+message+`}`)
		require.Equal(t, 200, status, answer)
		all := s.Accepted(simulator.Filter{})
		return all[len(all)-1].ID
	}
	template := send(`"type":"template","template":{"name":"order_shipped","language":{"code":"fr"},"components":[{"type":"body","parameters":[{"type":"text","text":"a"},{"type":"text","text":"b"}]},{"type":"button","sub_type":"quick_reply","index":1,"parameters":[{"type":"payload","payload":"TROUBLE-7"}]}]}`)
	list := send(`"type":"interactive","interactive":{"type":"list","body":{"text":"Quand ?"},"action":{"button":"Choisir","sections":[{"rows":[{"id":"mon","title":"Lundi","description":"8 h"},{"id":"tue","title":"Mardi"}]}]}}`)
	flow := send(`"type":"interactive","interactive":{"type":"flow","body":{"text":"x"},"action":{"name":"flow","parameters":{"flow_message_version":"3","flow_id":"1","flow_cta":"Ouvrir","flow_token":"t-1"}}}`)
	place := send(`"type":"interactive","interactive":{"type":"location_request_message","body":{"text":"Où ?"},"action":{"name":"send_location"}}`)
	web := send(`"type":"interactive","interactive":{"type":"cta_url","body":{"text":"x"},"action":{"name":"cta_url","parameters":{"display_text":"Voir","url":"https://shop.test"}}}`)
	carousel := send(`"type":"interactive","interactive":{"type":"carousel","body":{"text":"x"},"action":{"cards":[{"card_index":0,"type":"quick_reply","header":{"type":"image","image":{"link":"https://shop.test/a.png"}},"action":{"buttons":[{"type":"quick_reply","quick_reply":{"id":"a","title":"A"}}]}},{"card_index":1,"type":"quick_reply","header":{"type":"image","image":{"link":"https://shop.test/b.png"}},"action":{"buttons":[{"type":"quick_reply","quick_reply":{"id":"b","title":"B"}}]}}]}}`)
	for _, tt := range []struct {
		tap  simulator.Tap
		want string // type, reply id, text
	}{
		{simulator.Tap{MessageID: template}, "button/Merci/Merci"},
		{simulator.Tap{MessageID: template, Choice: "un souci"}, "button/TROUBLE-7/Un souci"},
		{simulator.Tap{MessageID: list, Choice: "tue"}, "interactive/tue/Mardi"},
		{simulator.Tap{MessageID: list, Choice: "0"}, "interactive/mon/Lundi"},
		{simulator.Tap{MessageID: flow, Filled: map[string]any{"size": "M"}}, "interactive//Sent"},
		{simulator.Tap{MessageID: place}, "location//"},
		{simulator.Tap{MessageID: carousel, Card: 1}, "interactive/b/B"},
	} {
		before := len(hook.told(t))
		id, err := s.Tap(tt.tap)
		require.NoError(t, err)
		s.idle()
		n := hook.told(t)[before]
		assert.Equal(t, tt.want, n.Type+"/"+n.ReplyID+"/"+n.Text)
		assert.Equal(t, id, n.MessageID)
		assert.Equal(t, tt.tap.MessageID, n.ReplyTo)
	}
	id, err := s.Tap(simulator.Tap{MessageID: flow})
	require.NoError(t, err)
	form, _ := s.Message(id)
	assert.Contains(t, string(form.Body), `{\"flow_token\":\"t-1\"}`, "the token comes back")
	id, err = s.Tap(simulator.Tap{MessageID: web})
	require.NoError(t, err)
	assert.Empty(t, id, "an address only opens")
	for _, tap := range []simulator.Tap{{}, {MessageID: list, Choice: "9"}, {MessageID: template, Choice: "x"}, {MessageID: carousel, Card: 7}, {MessageID: carousel, Card: -1}} {
		_, err := s.Tap(tap)
		assert.Error(t, err)
	}
	_, err = s.React(template, "👍")
	require.NoError(t, err)
	_, err = s.React("wamid.none", "👍")
	assert.Error(t, err)
	m, _ := s.Message(template)
	assert.Equal(t, []simulator.Reaction{{Emoji: "👍", Person: true}}, m.Reactions)
	_, err = s.React(template, "")
	require.NoError(t, err)
	m, _ = s.Message(template)
	assert.Empty(t, m.Reactions)
}

func TestReadAndTyping(t *testing.T) {
	s, hook := hooked(t)
	id, err := s.Send(simulator.Inbound{From: "+33612345678", To: phoneID, Text: "hé ho"})
	require.NoError(t, err)
	status, answer := s.post(messages, `{"messaging_product":"whatsapp","status":"read","message_id":"`+id+`","typing_indicator":{"type":"text"}}`)
	assert.Equal(t, 200, status)
	assert.JSONEq(t, `{"success":true}`, answer)
	m, _ := s.Message(id)
	assert.Equal(t, "typing", m.MarkedAs)
	_, answer = s.post(messages, `{"messaging_product":"whatsapp","status":"delivered","message_id":"`+id+`"}`)
	assert.Equal(t, int64(131009), apiError(t, answer).Code)

	require.Zero(t, s.code(texts("+33612345678")))
	s.Advance(time.Minute)
	s.Read(phoneID, "+33612345678")
	s.idle()
	assert.Equal(t, []string{"message:text", "sent", "delivered", "read"}, statuses(hook.told(t)))
}
