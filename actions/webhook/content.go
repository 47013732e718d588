package webhook

import (
	"bytes"
	"net/http"
	"unicode/utf8"

	"facteur/actions"
)

// parseBody gives a body as flows see it: what is JSON, parsed, anything else as its text.
// What says that it is JSON has to be.
func parseBody(contentType string, body []byte) (any, error) {
	trimmed := bytes.TrimSpace(body)
	switch isJSON := actions.IsJSON(contentType); {
	case len(trimmed) == 0:
	case isJSON, trimmed[0] == '{', trimmed[0] == '[':
		v, err := actions.DecodeJSON(trimmed)
		if err == nil {
			return v, nil
		}
		if isJSON {
			return nil, &Refusal{Status: http.StatusBadRequest, Reason: "the body is not JSON: " + err.Error()}
		}
	}
	if !utf8.Valid(body) {
		return nil, &Refusal{Status: http.StatusUnsupportedMediaType, Reason: "the body is neither JSON nor text"}
	}
	return string(body), nil
}
