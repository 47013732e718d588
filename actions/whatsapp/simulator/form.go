package simulator

import (
	"bytes"
	"io"
	"maps"
	"mime"
	"mime/multipart"
	"net/url"
	"strings"

	"facteur/actions"
)

// appendText appends a text as JSON.
func appendText(b []byte, text string) []byte {
	for i := range len(text) {
		if c := text[i]; c < ' ' || c > '~' || c == '"' || c == '\\' {
			return append(b, encode(text)...)
		}
	}
	return append(append(append(b, '"'), text...), '"')
}

// fields are the parameters of a request: of its address and of its body, a form or JSON.
type fields map[string]any

func (f fields) text(name string) string {
	switch v := f[name].(type) {
	case string:
		return v
	case nil:
		return ""
	default:
		return string(encode(v))
	}
}

// tokenInBody is the access_token among the fields of a body, which is left to be read.
func (g *graphCall) tokenInBody() string {
	text, err := io.ReadAll(io.LimitReader(g.r.Body, maxBody))
	g.r.Body = io.NopCloser(io.MultiReader(bytes.NewReader(text), g.r.Body))
	if err != nil {
		return ""
	}
	body, refused := formBody(g.r.Header.Get("Content-Type"), text)
	if refused == nil && body == nil {
		v, _ := actions.DecodeJSON(text)
		body, _ = v.(map[string]any)
	}
	return fields(body).text("access_token")
}

// params reads all parameters.
func (g *graphCall) params() (fields, *apiError) {
	if g.fields != nil {
		return g.fields, nil
	}
	g.fields = fields{}
	for name, values := range g.r.URL.Query() {
		g.fields[name] = values[0]
	}
	text, err := g.read()
	if err != nil || len(text) == 0 {
		return g.fields, err
	}
	body, err := formBody(g.r.Header.Get("Content-Type"), text)
	if err != nil || body == nil {
		v, err := actions.DecodeJSON(text)
		object, ok := v.(map[string]any)
		if err != nil || !ok {
			return nil, invalidParameter("(#100) Invalid parameter")
		}
		body = object
	}
	maps.Copy(g.fields, body)
	return g.fields, nil
}

// formBody reads a form; it is nil for a body that is none. What looks like JSON in it is
// read as JSON.
func formBody(kind string, text []byte) (map[string]any, *apiError) {
	media, params, _ := mime.ParseMediaType(kind)
	var values map[string][]string
	var err error
	switch media {
	case "application/x-www-form-urlencoded":
		values, err = url.ParseQuery(string(text))
	case "multipart/form-data":
		var form *multipart.Form
		if form, err = multipart.NewReader(bytes.NewReader(text), params["boundary"]).ReadForm(maxBody); err == nil {
			values = form.Value
		}
	default:
		return nil, nil
	}
	if err != nil {
		return nil, invalidParameter("(#100) Invalid parameter")
	}
	body := map[string]any{}
	for name, v := range values {
		body[name] = v[0]
		if strings.HasPrefix(v[0], "{") || strings.HasPrefix(v[0], "[") || v[0] == "true" || v[0] == "false" {
			if decoded, err := actions.DecodeJSON([]byte(v[0])); err == nil {
				body[name] = decoded
			}
		}
	}
	return body, nil
}
