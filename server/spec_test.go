package server_test

import (
	"encoding/json"
	"fmt"
	"mime"
	"net/http"
	"net/http/httptest"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"

	"facteur/flow/host"
	"facteur/server"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"gopkg.in/yaml.v3"
)

// A spec is the committed description of the API. Its schemas are made strict: in tests
// an answer may not have a field that the description lacks.
type spec struct {
	root     map[string]any
	compiler *jsonschema.Compiler
}

var loadSpec = sync.OnceValue(func() *spec {
	var root map[string]any
	if err := yaml.Unmarshal(server.OpenAPI(), &root); err != nil {
		panic(err)
	}
	text, err := json.Marshal(root) // times and numbers as JSON has them
	if err != nil {
		panic(err)
	}
	parsed, err := jsonschema.UnmarshalJSON(strings.NewReader(string(text)))
	if err != nil {
		panic(err)
	}
	root = parsed.(map[string]any)
	for _, s := range root["components"].(map[string]any)["schemas"].(map[string]any) {
		object := s.(map[string]any)
		if _, said := object["additionalProperties"]; object["properties"] != nil && !said {
			object["additionalProperties"] = false
		}
	}
	c := jsonschema.NewCompiler()
	c.DefaultDraft(jsonschema.Draft2020)
	c.AssertFormat()
	if err := c.AddResource("openapi.json", root); err != nil {
		panic(err)
	}
	return &spec{root: root, compiler: c}
})

// at follows a path of keys, and references on the way. It returns where that leads in
// the document.
func (s *spec) at(pointer string, keys ...string) (map[string]any, string) {
	var v any = s.root
	for key := range strings.SplitSeq(strings.TrimPrefix(pointer, "/"), "/") {
		if key != "" {
			v = v.(map[string]any)[unescape(key)]
		}
	}
	for _, key := range keys {
		object, _ := v.(map[string]any)
		if v = object[key]; v == nil {
			return nil, ""
		}
		pointer += "/" + escape(key)
		if ref, ok := v.(map[string]any)["$ref"].(string); ok {
			v, pointer = s.resolve(ref)
		}
	}
	object, _ := v.(map[string]any)
	return object, pointer
}

func (s *spec) resolve(ref string) (any, string) {
	pointer := strings.TrimPrefix(ref, "#")
	object, _ := s.at(pointer)
	return object, pointer
}

func escape(key string) string {
	return strings.NewReplacer("~", "~0", "/", "~1").Replace(key)
}

func unescape(key string) string {
	return strings.NewReplacer("~1", "/", "~0", "~").Replace(key)
}

func (s *spec) validate(pointer string, v any) error {
	fragment := strings.NewReplacer("%", "%25", "{", "%7B", "}", "%7D", " ", "%20").Replace(pointer)
	schema, err := s.compiler.Compile("openapi.json#" + fragment)
	if err != nil {
		return err
	}
	return schema.Validate(v)
}

// response finds the description of an answer: by its status, else by its hundred.
func (s *spec) response(method, path string, status int) (map[string]any, string) {
	for _, code := range []string{fmt.Sprint(status), fmt.Sprintf("%dXX", status/100)} {
		if r, at := s.at("", "paths", path, strings.ToLower(method), "responses", code); r != nil {
			return r, at
		}
	}
	return nil, ""
}

// check checks an answer against the description.
func (s *spec) check(t testing.TB, req *http.Request, resp *httptest.ResponseRecorder) {
	t.Helper()
	path := s.pathOf(req)
	if path == "" {
		// What is not described gets a problem.
		require.Contains(t, []int{404, 405, 301, 307}, resp.Code, req.URL.Path)
		if resp.Code >= 400 {
			s.checkBody(t, "/components/responses/Problem", resp)
		}
		return
	}
	method := req.Method
	if method == http.MethodHead {
		return
	}
	if _, at := s.at("", "paths", path, strings.ToLower(method)); at == "" {
		require.Equal(t, http.StatusMethodNotAllowed, resp.Code, "%s %s", method, path)
		s.checkBody(t, "/components/responses/Problem", resp)
		return
	}
	_, at := s.response(method, path, resp.Code)
	require.NotEmpty(t, at, "%s %s answers %d, which is not described", method, path, resp.Code)
	s.checkBody(t, at, resp)
}

func (s *spec) checkBody(t testing.TB, at string, resp *httptest.ResponseRecorder) {
	t.Helper()
	response, _ := s.at(at)
	content, _ := response["content"].(map[string]any)
	if content == nil {
		require.Empty(t, resp.Body.String(), at)
		return
	}
	kind, _, err := mime.ParseMediaType(resp.Header().Get("Content-Type"))
	require.NoError(t, err)
	require.Contains(t, content, kind, "%s: %s", at, resp.Body)
	if !strings.HasSuffix(kind, "json") {
		return
	}
	v, err := jsonschema.UnmarshalJSON(strings.NewReader(resp.Body.String()))
	require.NoError(t, err, resp.Body)
	require.NoError(t, s.validate(at+"/content/"+escape(kind)+"/schema", v), "%s: %s", at, resp.Body)
}

// pathOf finds the described path of a request.
func (s *spec) pathOf(req *http.Request) string {
	paths := s.root["paths"].(map[string]any)
	if _, ok := paths[req.URL.Path]; ok {
		return req.URL.Path
	}
	given := strings.Split(req.URL.EscapedPath(), "/")
	for path := range paths {
		parts := strings.Split(path, "/")
		fits := len(parts) == len(given)
		for i := 0; fits && i < len(parts); i++ {
			fits = parts[i] == given[i] || strings.HasPrefix(parts[i], "{") && given[i] != ""
		}
		if fits {
			return path
		}
	}
	return ""
}

func TestEveryRouteIsDescribedAndEveryDescriptionServed(t *testing.T) {
	s := loadSpec()
	served := map[string]string{}
	for _, r := range server.Routes() {
		served[r[0]+" "+r[1]] = r[2]
	}
	described, ids := map[string]string{}, map[string]bool{}
	for path, methods := range s.root["paths"].(map[string]any) {
		for method, v := range methods.(map[string]any) {
			op := v.(map[string]any)
			scope, _ := op["x-scope"].(string)
			described[strings.ToUpper(method)+" "+path] = scope
			assert.NotEmpty(t, op["summary"], path)
			id, _ := op["operationId"].(string)
			assert.NotEmpty(t, id, path)
			assert.False(t, ids[id], "the operationId %s is there twice", id)
			ids[id] = true
			if open, said := op["security"]; said {
				assert.Empty(t, open, path)
				assert.Empty(t, scope, path)
			} else {
				assert.NotEmpty(t, scope, "%s needs a key, so it needs a scope", path)
			}
			for part := range strings.SplitSeq(path, "/") {
				if name, ok := strings.CutPrefix(part, "{"); ok {
					assert.True(t, s.hasParameter(op, strings.TrimSuffix(name, "}")), "%s has no parameter %s", path, name)
				}
			}
		}
	}
	assert.Equal(t, served, described)
}

func (s *spec) hasParameter(op map[string]any, name string) bool {
	list, _ := op["parameters"].([]any)
	return slices.ContainsFunc(list, func(v any) bool {
		p := v.(map[string]any)
		if ref, ok := p["$ref"].(string); ok {
			found, _ := s.resolve(ref)
			p = found.(map[string]any)
		}
		return p["name"] == name && p["in"] == "path" && p["required"] == true
	})
}

func TestEveryReferenceLeadsSomewhereAndEveryExampleFits(t *testing.T) {
	s := loadSpec()
	examples := 0
	var walk func(pointer string, v any)
	walk = func(pointer string, v any) {
		switch v := v.(type) {
		case map[string]any:
			if ref, ok := v["$ref"].(string); ok {
				found, _ := s.resolve(ref)
				assert.NotNil(t, found, "%s: %s leads nowhere", pointer, ref)
			}
			if example, ok := v["example"]; ok && v["schema"] != nil {
				examples++
				assert.NoError(t, s.validate(pointer+"/schema", example), pointer)
			}
			for key, x := range v {
				if key != "example" {
					walk(pointer+"/"+escape(key), x)
				}
			}
		case []any:
			for i, x := range v {
				walk(fmt.Sprintf("%s/%d", pointer, i), x)
			}
		}
	}
	walk("", map[string]any(s.root))
	assert.Greater(t, examples, 15)
	for name := range s.root["components"].(map[string]any)["schemas"].(map[string]any) {
		_, err := s.compiler.Compile("openapi.json#/components/schemas/" + name)
		assert.NoError(t, err, name)
	}
}

// TestTheSchemasAreTheGoTypes compares names, and what is always there.
// Generators of clients make an empty object of one that neither names fields nor says that it
// has others, and types of the parameters beside those of the schemas.
func TestTheDescriptionIsFitForGenerators(t *testing.T) {
	s := loadSpec()
	var walk func(pointer string, v any)
	walk = func(pointer string, v any) {
		switch v := v.(type) {
		case map[string]any:
			if v["type"] == "object" && v["properties"] == nil {
				assert.Contains(t, v, "additionalProperties", pointer)
			}
			for key, x := range v {
				walk(pointer+"/"+escape(key), x)
			}
		case []any:
			for i, x := range v {
				walk(fmt.Sprintf("%s/%d", pointer, i), x)
			}
		}
	}
	walk("", map[string]any(s.root))
	types := map[string]bool{}
	for _, section := range []string{"schemas", "parameters"} {
		named, _ := s.at("/components/" + section)
		for name := range named {
			name = strings.ToLower(name)
			assert.False(t, types[name], "%s: there is another type of that name", name)
			types[name] = true
		}
	}
}

func TestTheSchemasAreTheGoTypes(t *testing.T) {
	s := loadSpec()
	types := []reflect.Type{
		reflect.TypeFor[server.Run](), reflect.TypeFor[server.RunList](), reflect.TypeFor[server.Started](), reflect.TypeFor[server.Detail](),
		reflect.TypeFor[server.Failure](), reflect.TypeFor[server.Step](), reflect.TypeFor[server.Call](), reflect.TypeFor[server.Outcome](),
		reflect.TypeFor[server.Receipt](), reflect.TypeFor[server.HeldCall](), reflect.TypeFor[host.Entry](), reflect.TypeFor[server.Delivered](),
		reflect.TypeFor[server.Flow](), reflect.TypeFor[server.FlowList](), reflect.TypeFor[server.FlowDetail](), reflect.TypeFor[server.Trigger](),
		reflect.TypeFor[server.Reloaded](), reflect.TypeFor[server.Diagnostic](), reflect.TypeFor[server.Connection](), reflect.TypeFor[server.ConnectionList](),
		reflect.TypeFor[server.Hold](), reflect.TypeFor[server.HoldList](), reflect.TypeFor[server.Key](), reflect.TypeFor[server.KeyList](),
		reflect.TypeFor[server.Health](), reflect.TypeFor[server.Readiness](), reflect.TypeFor[server.CheckResult](), reflect.TypeFor[server.Problem](), reflect.TypeFor[server.FieldError](),
	}
	requests := []reflect.Type{
		reflect.TypeFor[server.StartRequest](), reflect.TypeFor[server.RerunRequest](), reflect.TypeFor[server.CancelRequest](), reflect.TypeFor[server.RetryRequest](),
		reflect.TypeFor[server.SettleRequest](), reflect.TypeFor[server.Event](), reflect.TypeFor[server.PauseRequest](), reflect.TypeFor[server.ResumeRequest](),
	}
	schemas := s.root["components"].(map[string]any)["schemas"].(map[string]any)
	known := map[string]bool{"Status": true}
	compare := func(typ reflect.Type, answer bool) {
		known[typ.Name()] = true
		require.Contains(t, schemas, typ.Name())
		object := schemas[typ.Name()].(map[string]any)
		names, always := fieldsOf(typ)
		var described []string
		for name, property := range object["properties"].(map[string]any) {
			described = append(described, name)
			if doc := docOf(typ, name); doc != "" {
				assert.Equal(t, doc, property.(map[string]any)["description"], "%s.%s", typ.Name(), name)
			}
		}
		assert.ElementsMatch(t, names, described, typ.Name())
		if answer {
			var required []string
			for _, name := range object["required"].([]any) {
				required = append(required, name.(string))
			}
			assert.ElementsMatch(t, always, required, typ.Name())
		}
	}
	for _, typ := range types {
		compare(typ, true)
	}
	for _, typ := range requests {
		compare(typ, false)
	}
	for name := range schemas {
		assert.True(t, known[name], "no Go type is compared with the schema %s", name)
	}
	var statuses []any
	for _, status := range server.Statuses() {
		statuses = append(statuses, status)
	}
	assert.ElementsMatch(t, statuses, schemas["Status"].(map[string]any)["enum"])
}

// fieldsOf returns the JSON names of the fields of a struct, and of those that are
// always there.
func fieldsOf(typ reflect.Type) (names, always []string) {
	for f := range typ.Fields() {
		if f.Anonymous {
			n, a := fieldsOf(f.Type)
			names, always = append(names, n...), append(always, a...)
			continue
		}
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		names = append(names, name)
		if options == "" {
			always = append(always, name)
		}
	}
	return names, always
}

func docOf(typ reflect.Type, name string) string {
	for f := range typ.Fields() {
		if json, _, _ := strings.Cut(f.Tag.Get("json"), ","); json == name {
			return f.Tag.Get("doc")
		}
	}
	return ""
}

func TestTheDescriptionIsServed(t *testing.T) {
	d := newDaemon(t)
	resp := d.do("GET", "/v1/openapi.yaml", "")
	assert.Equal(t, 200, resp.Code)
	assert.Equal(t, string(server.OpenAPI()), resp.Body.String())
}
