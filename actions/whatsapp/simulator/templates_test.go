package simulator_test

import (
	"testing"

	"facteur/actions/whatsapp"

	"github.com/stretchr/testify/require"
)

const orderShipped = `{"name":"order_shipped","language":"fr","category":"UTILITY","status":"APPROVED","parameter_format":"POSITIONAL","components":[
	{"type":"HEADER","format":"TEXT","text":"Votre commande"},
	{"type":"BODY","text":"Bonjour {{1}}, votre commande {{2}} est *en route*.","example":{"body_text":[["Jeanne","n° 7"]]}},
	{"type":"FOOTER","text":"Facteur"},
	{"type":"BUTTONS","buttons":[{"type":"QUICK_REPLY","text":"Merci"},{"type":"QUICK_REPLY","text":"Un souci"}]}]}`

func definition(t testing.TB, text string) *whatsapp.TemplateDefinition {
	d, err := whatsapp.ReadTemplate([]byte(text))
	require.NoError(t, err)
	return d
}

func templates(t testing.TB) []*whatsapp.TemplateDefinition {
	return []*whatsapp.TemplateDefinition{definition(t, orderShipped)}
}
