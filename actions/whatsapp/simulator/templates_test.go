package simulator_test

import (
	"fmt"
	"strings"
	"testing"

	"facteur/actions/whatsapp/simulator"
	"facteur/actions/whatsapp/templates"

	"github.com/stretchr/testify/require"
)

const orderShipped = `{"name":"order_shipped","language":"fr","category":"UTILITY","status":"APPROVED","parameter_format":"POSITIONAL","components":[
	{"type":"HEADER","format":"TEXT","text":"Votre commande"},
	{"type":"BODY","text":"Bonjour {{1}}, votre commande {{2}} est *en route*.","example":{"body_text":[["Jeanne","n° 7"]]}},
	{"type":"FOOTER","text":"Facteur"},
	{"type":"BUTTONS","buttons":[{"type":"QUICK_REPLY","text":"Merci"},{"type":"QUICK_REPLY","text":"Un souci"}]}]}`

func definition(t testing.TB, text string) *templates.Definition {
	d, err := templates.Read([]byte(text))
	require.NoError(t, err)
	return d
}

func approved(t testing.TB) []*templates.Definition {
	return []*templates.Definition{definition(t, orderShipped)}
}

// TestSetTemplates: a project's templates come, change and go while the simulator runs; what
// others made of them meanwhile stays.
func TestSetTemplates(t *testing.T) {
	const other = `{"name":"welcome","language":"fr","category":"UTILITY","components":[{"type":"BODY","text":"Bienvenue"}]}`
	send := func(name string) string {
		return `{"messaging_product":"whatsapp","to":"+33612345678","type":"template","template":{"name":"` + name + `","language":{"code":"fr"}}}`
	}
	s := newStage(t, simulator.Options{Templates: []*templates.Definition{definition(t, other)}})
	s.mustRefuse(send("order_shipped"), 132001)

	s.SetTemplates([]*templates.Definition{definition(t, other), definition(t, orderShipped)})
	s.mustRefuse(send("order_shipped"), 132000)
	require.NoError(t, s.ChangeTemplate(simulator.TemplateChange{Name: "welcome", Status: "PAUSED"}))
	s.SetTemplates([]*templates.Definition{definition(t, other)})
	s.mustRefuse(send("order_shipped"), 132001)
	s.mustRefuse(send("welcome"), 132015)

	s.SetTemplates([]*templates.Definition{definition(t, strings.Replace(other, "Bienvenue", "Salut", 1))})
	status, answer := s.post(messages, send("welcome"))
	require.Equal(t, 200, status, answer)
	require.NoError(t, s.Reset())
	s.post(messages, send("welcome"))
	require.Contains(t, s.page(ada), "Salut")

	s.SetTemplates(nil)
	status, answer = s.post(messages, send("anything"))
	require.Equal(t, 200, status, answer, "without any, every template is there")
}

// mustRefuse sends what is refused with a code.
func (s *stage) mustRefuse(body string, code int) {
	s.t.Helper()
	_, answer := s.post(messages, body)
	require.Contains(s.t, answer, fmt.Sprintf(`"code":%d`, code))
}
