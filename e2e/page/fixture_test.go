package page_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"facteur/actions/whatsapp/simulator"
	"facteur/actions/whatsapp/templates"

	"github.com/stretchr/testify/require"
)

const (
	number = "106540352242922"
	ada    = "+33612345678"
)

// A fixture is a simulator with a frozen clock and one named contact. Without templates it
// accepts any template.
type fixture struct {
	*simulator.Simulator
	url string
	t   *testing.T
}

func newFixture(t *testing.T, approved ...string) *fixture {
	o := simulator.Options{Clock: simulator.Frozen(time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)), Scene: simulator.Scene{People: []simulator.Person{{Phone: ada, Name: "Ada"}}}}
	for _, text := range approved {
		definition, err := templates.Read([]byte(text))
		require.NoError(t, err)
		o.Templates = append(o.Templates, definition)
	}
	sim, err := simulator.New(o)
	require.NoError(t, err)
	server := httptest.NewServer(sim)
	t.Cleanup(func() {
		sim.Close()
		server.Close()
	})
	return &fixture{sim, server.URL, t}
}

// conversation returns the address of the page with a contact's conversation open.
func (s *fixture) conversation(person string) string {
	return s.url + "/?c=" + number + "." + strings.TrimPrefix(person, "+")
}

// post sends a request body, and returns the id of the message.
func (s *fixture) post(body string) (id string) {
	s.t.Helper()
	request, err := http.NewRequest("POST", s.url+"/v23.0/"+number+"/messages", strings.NewReader(body))
	require.NoError(s.t, err)
	request.Header.Set("Authorization", "Bearer token")
	request.Header.Set("Content-Type", "application/json")
	answer, err := http.DefaultClient.Do(request)
	require.NoError(s.t, err)
	defer answer.Body.Close()
	text, _ := io.ReadAll(answer.Body)
	require.Equal(s.t, 200, answer.StatusCode, "%s\n%s", body, text)
	if accepted := s.Accepted(simulator.Filter{Limit: 1}); len(accepted) > 0 {
		id = accepted[0].ID
	}
	return id
}

// send sends a message, given as the JSON fields from its type on.
func (s *fixture) send(person, message string) (id string) {
	s.t.Helper()
	return s.post(`{"messaging_product":"whatsapp","to":"` + person + `",` + message + `}`)
}

// sendText sends a text.
func (s *fixture) sendText(person, body string) (id string) {
	s.t.Helper()
	return s.send(person, `"type":"text","text":{"body":"`+body+`"}`)
}

// sendButtons sends two reply buttons.
func (s *fixture) sendButtons(person string) (id string) {
	s.t.Helper()
	return s.send(person, `"type":"interactive","interactive":{"type":"button","body":{"text":"Demain ?"},"action":{"buttons":[{"type":"reply","reply":{"id":"yes","title":"Oui"}},{"type":"reply","reply":{"id":"no","title":"Non"}}]}}`)
}

// sendExamples sends Ada every example message, and lets them arrive.
func (s *fixture) sendExamples() {
	s.t.Helper()
	files, err := filepath.Glob("../../examples/messages/*.json")
	require.NoError(s.t, err)
	require.NotEmpty(s.t, files)
	recipient := regexp.MustCompile(`("to": *)"[^"]*"`)
	for _, file := range files {
		body, err := os.ReadFile(file)
		require.NoError(s.t, err)
		s.post(recipient.ReplaceAllString(string(body), `$1"`+ada+`"`))
	}
	s.Advance(time.Second)
}

// fillConversation sends templates of each kind, and receives from Ada messages of each type,
// reactions and replies; two more messages fail later or are held.
func (s *fixture) fillConversation() {
	s.t.Helper()
	s.sendText(ada, `Bonjour *Ada*, _votre_ ~ancienne~ commande n° `+"`7`"+` :\n- une lampe\n- deux chaises\n> merci !\n1. payer\n2. attendre\n`+"```code {\\n  x\\n}```"+`\nhttps://shop.test/suivi/`+strings.Repeat("sans-espace-et-sans-fin", 8))
	s.sendText(ada, `مرحبا *بك* في متجرنا\n- أول\n> اقتباس`)
	shipped := s.send(ada, `"type":"template","template":{"name":"order_shipped","language":{"code":"fr"},"components":[{"type":"body","parameters":[{"type":"text","text":"Ada"},{"type":"text","text":"n° 7"}]},{"type":"button","sub_type":"url","index":1,"parameters":[{"type":"text","text":"7"}]}]}`)
	s.send(ada, `"type":"template","template":{"name":"code","language":{"code":"fr"},"components":[{"type":"body","parameters":[{"type":"text","text":"482913"}]},{"type":"button","sub_type":"url","index":0,"parameters":[{"type":"text","text":"482913"}]}]}`)
	s.send(ada, `"type":"template","template":{"name":"sale","language":{"code":"fr"},"components":[{"type":"header","parameters":[{"type":"image","image":{"link":"https://shop.test/a.png"}}]},{"type":"body","parameters":[{"type":"text","text":"Ada"}]},{"type":"limited_time_offer","parameters":[{"type":"limited_time_offer","limited_time_offer":{"expiration_time_ms":1893456000000}}]},{"type":"button","sub_type":"copy_code","index":0,"parameters":[{"type":"coupon_code","coupon_code":"ETE20"}]},{"type":"button","sub_type":"url","index":1,"parameters":[{"type":"text","text":"x"}]}]}`)
	card := func(index, colour string) string {
		return `{"card_index":` + index + `,"components":[{"type":"header","parameters":[{"type":"image","image":{"link":"https://shop.test/a.png"}}]},{"type":"body","parameters":[{"type":"text","text":"` + colour + `"}]},{"type":"button","sub_type":"quick_reply","index":0,"parameters":[{"type":"payload","payload":"p` + index + `"}]}]}`
	}
	s.send(ada, `"type":"template","template":{"name":"cards","language":{"code":"fr"},"components":[{"type":"carousel","cards":[`+card("0", "rouge")+`,`+card("1", "bleue")+`]}]}`)
	s.Advance(time.Second)

	for _, kind := range []string{"text", "image", "video", "audio", "document", "sticker", "location", "contacts", "order", "system", "unsupported"} {
		_, err := s.Send(simulator.Inbound{From: ada, Type: kind, Text: "Merci " + strings.Repeat("beaucoup", 20)})
		require.NoError(s.t, err, kind)
	}
	_, err := s.React(shipped, "❤️")
	require.NoError(s.t, err)
	_, err = s.Tap(simulator.Tap{MessageID: shipped})
	require.NoError(s.t, err)
	asked, err := s.Send(simulator.Inbound{From: ada, Text: "et ça ?", ReplyTo: shipped})
	require.NoError(s.t, err)
	s.post(`{"messaging_product":"whatsapp","status":"read","message_id":"` + asked + `","typing_indicator":{"type":"text"}}`)
	s.sendText("+33261911047", "Bonjour") // fails later
	s.sendText("+33536490030", "Bonjour") // is held
	s.Advance(time.Second)
}

var templatesOfEachKind = []string{
	`{"name":"order_shipped","language":"fr","category":"UTILITY","components":[{"type":"HEADER","format":"TEXT","text":"Votre commande"},{"type":"BODY","text":"Bonjour {{1}}, votre commande {{2}} est *en route*.\nSuivi : https://shop.test/suivi"},{"type":"FOOTER","text":"Chez Nous"},{"type":"BUTTONS","buttons":[{"type":"QUICK_REPLY","text":"Merci"},{"type":"URL","text":"Suivre","url":"https://shop.test/s/{{1}}"},{"type":"PHONE_NUMBER","text":"Appeler","phone_number":"+33199000000"}]}]}`,
	`{"name":"code","language":"fr","category":"AUTHENTICATION","components":[{"type":"BODY","text":"*{{1}}* est votre code.","add_security_recommendation":true},{"type":"FOOTER","code_expiration_minutes":10},{"type":"BUTTONS","buttons":[{"type":"OTP","otp_type":"COPY_CODE","text":"Copier le code"}]}]}`,
	`{"name":"sale","language":"fr","category":"MARKETING","components":[{"type":"HEADER","format":"IMAGE"},{"type":"LIMITED_TIME_OFFER","limited_time_offer":{"text":"Offre d'été","has_expiration":true}},{"type":"BODY","text":"Moins 20 % pour vous, {{1}}"},{"type":"BUTTONS","buttons":[{"type":"COPY_CODE"},{"type":"URL","text":"Acheter","url":"https://shop.test/{{1}}"}]}]}`,
	`{"name":"cards","language":"fr","category":"MARKETING","components":[{"type":"BODY","text":"Nos nouveautés"},{"type":"CAROUSEL","cards":[{"components":[{"type":"HEADER","format":"IMAGE"},{"type":"BODY","text":"Lampe {{1}}"},{"type":"BUTTONS","buttons":[{"type":"QUICK_REPLY","text":"Je la veux"}]}]},{"components":[{"type":"HEADER","format":"IMAGE"},{"type":"BODY","text":"Chaise {{1}}"},{"type":"BUTTONS","buttons":[{"type":"QUICK_REPLY","text":"Je la veux"}]}]}]}]}`,
}
