package simulator_test

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"facteur/actions/whatsapp/simulator"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// oneAccount is a world with one account, in which all limits are Meta's.
func oneAccount(change ...func(*simulator.Scene)) simulator.Options {
	scene := simulator.Scene{
		Accounts: []simulator.Account{{ID: "102290129340398", Name: "Shop", Numbers: []simulator.Number{{ID: phoneID, Phone: "+33 1 99 00 99 99", Name: "Shop"}}}},
		Limits:   simulator.Limits{Window: simulator.WindowOpen},
	}
	for _, c := range change {
		c(&scene)
	}
	return simulator.Options{Clock: simulator.Frozen(start), Scene: scene}
}

func (s *stage) code(body string) int64 {
	status, answer := s.post(messages, body)
	if status == http.StatusOK {
		return 0
	}
	return apiError(s.t, answer).Code
}

func person(n int) string { return fmt.Sprintf("+336%08d", n) }

func TestThroughput(t *testing.T) {
	s := newStage(t, oneAccount())
	for i := range 80 {
		require.Zero(t, s.code(texts(person(i))), i)
	}
	assert.EqualValues(t, 130429, s.code(texts(person(81))))
	s.Advance(25 * time.Millisecond)
	assert.Zero(t, s.code(texts(person(82))))
	assert.Zero(t, s.code(texts(person(83))))
	assert.EqualValues(t, 130429, s.code(texts(person(84))))
	s.Advance(time.Hour)
	for i := range 80 {
		require.Zero(t, s.code(texts(person(100+i))), i)
	}
	assert.EqualValues(t, 130429, s.code(texts(person(200))), "an hour of silence saves no more than a second")
}

func TestPairLimit(t *testing.T) {
	s := newStage(t, oneAccount())
	for i := range 45 {
		require.Zero(t, s.code(texts(person(1))), i)
	}
	assert.EqualValues(t, 131056, s.code(texts(person(1))))
	assert.Zero(t, s.code(texts(person(2))), "others go on")
	s.Advance(5 * time.Second)
	assert.EqualValues(t, 131056, s.code(texts(person(1))))
	s.Advance(time.Second)
	assert.Zero(t, s.code(texts(person(1))))
	assert.EqualValues(t, 131056, s.code(texts(person(1))))
	s.Advance(45 * 6 * time.Second)
	for i := range 45 {
		require.Zero(t, s.code(texts(person(1))), i)
	}
}

func TestPortfolioLimit(t *testing.T) {
	s := newStage(t, oneAccount(func(scene *simulator.Scene) {
		scene.Limits.Throughput, scene.Accounts[0].Tier = -1, "TIER_250"
		scene.Accounts[0].Business = "7"
		scene.Accounts = append(scene.Accounts, simulator.Account{ID: "2", Business: "7", Tier: "TIER_250", Numbers: []simulator.Number{{ID: "22"}}})
	}))
	for i := range 250 {
		require.Zero(t, s.code(texts(person(i))), i)
	}
	assert.EqualValues(t, 131048, s.code(texts(person(250))))
	assert.Zero(t, s.code(texts(person(249))), "who was written to already counts once")
	status, _ := s.post("/v23.0/22/messages", texts(person(251)))
	assert.Equal(t, 400, status, "the limit is the portfolio's")
	_, err := s.Send(simulator.Inbound{From: person(250), To: phoneID, Text: "oui"})
	require.NoError(t, err)
	assert.Zero(t, s.code(texts(person(250))), "who wrote first does not count")
	s.Advance(24 * time.Hour)
	assert.Zero(t, s.code(texts(person(300))))
}

// TestPortfolioWindow: each person counts for the 24 hours after the first message, not after the last.
func TestPortfolioWindow(t *testing.T) {
	s := newStage(t, oneAccount(func(scene *simulator.Scene) { scene.Limits.People = 3 }))
	for i := range 3 {
		require.Zero(t, s.code(texts(person(i))))
		s.Advance(time.Hour)
	}
	s.Advance(20 * time.Hour)
	assert.Zero(t, s.code(texts(person(0))), "still counts, from the first message on")
	assert.EqualValues(t, 131048, s.code(texts(person(3))))
	s.Advance(time.Hour)
	assert.Zero(t, s.code(texts(person(3))), "in the place of the first")
	assert.EqualValues(t, 131048, s.code(texts(person(0))), "who counts anew, and finds no place")
	assert.Zero(t, s.code(texts(person(1))))
	s.Advance(time.Hour)
	assert.Zero(t, s.code(texts(person(0))), "in the place of the second")
	assert.EqualValues(t, 131048, s.code(texts(person(4))))
}

func TestWindow(t *testing.T) {
	for _, mode := range []string{simulator.WindowRefuse, simulator.WindowFail, ""} {
		t.Run(mode, func(t *testing.T) {
			hook := newReceiver(t)
			s := newStage(t, oneAccount(func(scene *simulator.Scene) { scene.Limits.Window, scene.Webhook.URL = mode, hook.URL }))
			outside := func() string {
				if mode == simulator.WindowRefuse {
					return fmt.Sprint(s.code(texts("+33612345678")))
				}
				before := len(hook.told(t))
				require.Zero(t, s.code(texts("+33612345678")))
				s.Advance(time.Second)
				s.idle()
				last := hook.told(t)[before:]
				if last[0].Status == "failed" {
					return fmt.Sprint(last[0].Errors[0].Code)
				}
				return "0"
			}
			assert.Equal(t, "131047", outside())
			_, err := s.Send(simulator.Inbound{From: "+33612345678", Text: "oui"})
			require.NoError(t, err)
			s.Advance(23*time.Hour + 59*time.Minute)
			s.idle()
			assert.Equal(t, "0", outside())
			s.Advance(2 * time.Minute)
			assert.Equal(t, "131047", outside())
		})
	}
	s := newStage(t, simulator.Options{Clock: simulator.Frozen(start)})
	assert.Zero(t, s.code(texts("+33612345678")))
	assert.Contains(t, s.Accepted(simulator.Filter{})[0].Warning, "131047", "an open world delivers it, and says what Meta would not")
}

func TestWhoMayBeWrittenTo(t *testing.T) {
	hook := newReceiver(t)
	s := newStage(t, oneAccount(func(scene *simulator.Scene) {
		scene.Webhook.URL = hook.URL
		scene.Accounts[0].Numbers[0].Test = true
		scene.Accounts[0].Numbers[0].Allowed = []string{"+33 6 00 00 00 01", "+33600000002", "+33600000003"}
		scene.People = []simulator.Person{{Phone: "+33600000001", Absent: true}, {Phone: "+33600000002", Blocked: true}, {Phone: "+33600000003", OptOut: true, Reads: true, Reply: "merci"}}
		scene.Accounts[0].Templates = rawTemplates(`{"name":"sale","language":"fr","category":"MARKETING","components":[{"type":"BODY","text":"Soldes"}]}`)
	}))
	assert.EqualValues(t, 131030, s.code(texts("+33600000009")))
	assert.EqualValues(t, 130403, s.code(texts("+33600000002")))
	assert.Zero(t, s.code(texts("+33600000001")))
	assert.Zero(t, s.code(`{"messaging_product":"whatsapp","to":"+33600000003","type":"template","template":{"name":"sale","language":{"code":"fr"}}}`))
	s.Advance(time.Minute)
	s.idle()
	found := hook.told(t)
	require.Equal(t, []string{"failed", "failed", "message:text"}, sorted(statuses(found)))
	codes := map[int64]bool{}
	for _, n := range found {
		for _, e := range n.Errors {
			codes[e.Code] = true
		}
	}
	assert.Equal(t, map[int64]bool{131026: true, 131050: true}, codes)
	assert.Zero(t, s.code(texts("+33600000003")), "only marketing is unwanted")
	s.Advance(time.Minute)
	s.idle()
	assert.Equal(t, []string{"sent", "delivered", "read", "message:text"}, statuses(hook.told(t))[3:])
}

func TestNumbers(t *testing.T) {
	hook := newReceiver(t)
	s := newStage(t, oneAccount(func(scene *simulator.Scene) { scene.Webhook.URL = hook.URL }))
	for _, tt := range []struct {
		status string
		code   int64
	}{{"DISCONNECTED", 133010}, {"BANNED", 131031}, {"RATE_LIMITED", 131048}, {"CONNECTED", 0}} {
		require.NoError(t, s.ChangeNumber(simulator.NumberChange{ID: phoneID, Status: tt.status}))
		assert.Equal(t, tt.code, s.code(texts(person(1))), tt.status)
	}
	require.NoError(t, s.ChangeNumber(simulator.NumberChange{ID: phoneID, Quality: "RED"}))
	s.idle()
	found := hook.told(t)
	require.Len(t, found, 1)
	assert.Equal(t, "phone_number_quality_update", found[0].Kind)
	assert.Equal(t, "FLAGGED", found[0].Status)
	_, answer := s.do("GET", "/v23.0/"+phoneID+"?fields=quality_rating,status", "", "")
	assert.JSONEq(t, `{"quality_rating":"RED","status":"CONNECTED","id":"`+phoneID+`"}`, answer)
	assert.Error(t, s.ChangeNumber(simulator.NumberChange{ID: "9"}))
}
