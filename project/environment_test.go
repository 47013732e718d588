package project_test

import (
	"testing"

	"facteur/project"

	"github.com/stretchr/testify/assert"
)

// TestStrays: what is nearly a variable of ours is probably meant to be one.
func TestStrays(t *testing.T) {
	f := &project.File{Settings: map[string]any{"shop_name": "Chez Nous"}}
	for _, tt := range []struct{ variable, near string }{
		{"FACTEUR_SERVER_LISTN=:80", "FACTEUR_SERVER_LISTEN"},
		{"FACTEUR_SETTINGS_SHOPNAME=x", "FACTEUR_SETTINGS_SHOP_NAME"},
		{"FACTEUR_APIKEY=x", "FACTEUR_API_KEY"},
		{"FACTEUR_DATA_=x", "FACTEUR_DATA"},
		{"FACTEUR_DATA=x", ""},
		{"FACTEUR_SERVER=x", ""},
		{"FACTEUR_SERVER_RETENTION=30d", ""},
		{"FACTEUR_CONNECTION_SHOP_TOKE=x", ""},
		{"FACTEUR_PORT_8080_TCP=tcp://10.0.0.1:8080", ""},
		{"FACTEUR_SERVICE_HOST=10.0.0.1", ""},
		{"HOME=/", ""},
	} {
		found := f.UnknownVariables([]string{tt.variable})
		if tt.near == "" {
			assert.Empty(t, found, tt.variable)
			continue
		}
		if assert.Len(t, found, 1, tt.variable) {
			assert.Equal(t, tt.near, found[0].Known)
		}
	}
}
