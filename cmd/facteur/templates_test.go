package main

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// accountPage returns the API's answer for an account with the templates.
func accountPage(templates ...string) string {
	return `{"data":[` + strings.Join(templates, ",") + `],"paging":{"cursors":{"before":"b","after":"a"}}}`
}

const (
	helloTemplate = `{"id":"1","name":"hello","language":"fr","status":"APPROVED","category":"MARKETING","components":[{"type":"HEADER","format":"IMAGE","example":{"header_handle":["https://scontent.test/%d"]}},{"type":"BODY","text":"Bonjour <{{1}}>","example":{"body_text":[["Ada"]]}}]}`
	codeTemplate  = `{"id":"2","name":"code","language":"en_US","status":"APPROVED","category":"AUTHENTICATION","components":[{"type":"BODY","text":"*{{1}}* is your code."},{"type":"BUTTONS","buttons":[{"type":"URL","text":"Copy","url":"https://www.whatsapp.com/otp/code/?code=otp{{1}}"}]}]}`
)

// A templateProject is a project whose account has templates.
type templateProject struct {
	dir    string
	answer string
	status int
}

func newTemplateProject(t *testing.T) *templateProject {
	s := &templateProject{dir: t.TempDir(), status: 200}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		assert.Equal(t, "Bearer EAAGshop-token", r.Header.Get("Authorization"))
		w.WriteHeader(s.status)
		fmt.Fprint(w, s.answer)
	}))
	t.Cleanup(server.Close)
	write(t, filepath.Join(s.dir, "facteur.yaml"), fmt.Sprintf("connections:\n  shop: {app: WHATSAPP, waba_id: \"102290129340398\", base_url: %q}\n", server.URL))
	t.Setenv("FACTEUR_CONNECTION_SHOP_TOKEN", "EAAGshop-token")
	return s
}

func (s *templateProject) facteur(t *testing.T, want int, args ...string) (stdout, stderr string) {
	t.Helper()
	code, stdout, stderr := facteur(t, s.dir, "", args...)
	require.Equal(t, want, code, stderr)
	return stdout, stderr
}

func (s *templateProject) files(t *testing.T) []string {
	entries, err := os.ReadDir(filepath.Join(s.dir, "templates"))
	require.NoError(t, err)
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

func TestTemplatesPull(t *testing.T) {
	s := newTemplateProject(t)
	s.answer = accountPage(fmt.Sprintf(helloTemplate, 1), codeTemplate)
	_, stderr := s.facteur(t, 0, "templates", "pull", "--connection", "shop")
	assert.Equal(t, "2 templates in templates: 2 new, 0 changed, 0 unchanged, 0 gone\n", stderr)
	assert.Equal(t, []string{"code.en_US.json", "hello.fr.json"}, s.files(t))
	text, err := os.ReadFile(filepath.Join(s.dir, "templates", "hello.fr.json"))
	require.NoError(t, err)
	assert.Equal(t, `{
  "name": "hello",
  "language": "fr",
  "category": "MARKETING",
  "status": "APPROVED",
  "connection": "shop",
  "components": [
    {
      "format": "IMAGE",
      "type": "HEADER"
    },
    {
      "example": {
        "body_text": [
          [
            "Ada"
          ]
        ]
      },
      "text": "Bonjour <{{1}}>",
      "type": "BODY"
    }
  ]
}
`, string(text))

	// The URL of an example file changes with each request; that is no change of the template.
	s.answer = accountPage(codeTemplate, fmt.Sprintf(helloTemplate, 2))
	_, stderr = s.facteur(t, 0, "templates", "pull")
	assert.Equal(t, "2 templates in templates: 0 new, 0 changed, 2 unchanged, 0 gone\n", stderr)

	// Files of removed templates stay unless --prune is given; other files always stay.
	write(t, filepath.Join(s.dir, "templates", "ours.de.json"), `{"name":"ours","language":"de","components":[]}`)
	write(t, filepath.Join(s.dir, "templates", "README.md"), "ours")
	s.answer = accountPage(strings.Replace(codeTemplate, "APPROVED", "PAUSED", 1))
	_, stderr = s.facteur(t, 0, "templates", "pull")
	assert.Contains(t, stderr, "warning: the account no longer has hello (fr); --prune deletes its file")
	assert.Contains(t, stderr, "0 new, 1 changed, 0 unchanged, 1 gone")
	assert.Equal(t, []string{"README.md", "code.en_US.json", "hello.fr.json", "ours.de.json"}, s.files(t))
	_, stderr = s.facteur(t, 0, "templates", "pull", "--prune")
	assert.Contains(t, stderr, "1 gone")
	assert.Equal(t, []string{"README.md", "code.en_US.json", "ours.de.json"}, s.files(t))

	// A name that would lead elsewhere.
	s.answer = accountPage(codeTemplate, `{"name":"../evil","language":"fr","components":[]}`)
	_, stderr = s.facteur(t, 0, "templates", "pull")
	assert.Contains(t, stderr, `warning: the template "../evil" ("fr") is left out: its name is not valid`)
	assert.NoFileExists(t, filepath.Join(s.dir, "evil.fr.json"))
}

func TestTemplatesPullFails(t *testing.T) {
	s := newTemplateProject(t)
	s.status, s.answer = 401, `{"error":{"code":190,"message":"bad token EAAGshop-token"}}`
	_, stderr := s.facteur(t, 3, "templates", "pull")
	assert.Contains(t, stderr, "error: Meta refuses to give the templates: bad token [secret] (190)\n  hint: create a token")
	assert.NotContains(t, stderr, "EAAG")
	_, stderr = s.facteur(t, 3, "templates", "pull", "--connection", "nobody")
	assert.Contains(t, stderr, `"nobody"`)
	_, stderr = s.facteur(t, 2, "templates", "list")
	assert.Contains(t, stderr, "facteur templates pull --connection NAME")
	write(t, filepath.Join(s.dir, "templates", "x.fr.json"), `{"name":`)
	_, stderr = s.facteur(t, 2, "templates", "list")
	assert.Contains(t, stderr, filepath.Join("templates", "x.fr.json")+": it is not JSON")
}

func TestTemplatesUse(t *testing.T) {
	s := newTemplateProject(t)
	s.answer = accountPage(fmt.Sprintf(helloTemplate, 1), codeTemplate)
	s.facteur(t, 0, "templates", "pull")
	stdout, _ := s.facteur(t, 0, "templates", "list")
	assert.Equal(t, "NAME   LANGUAGE  STATUS    CATEGORY        TAKES\ncode   en_US     APPROVED  AUTHENTICATION  code\nhello  fr        APPROVED  MARKETING       header_image, body_1\n", stdout)
	stdout, _ = s.facteur(t, 0, "templates", "use", "hello")
	assert.Contains(t, stdout, `- {type: body, parameters: [{type: text, text: "${inputs.body_1}"}]}`)
	for _, name := range []string{"hello", "code"} {
		s.facteur(t, 0, "templates", "use", name, "--out", "flows")
	}
	_, stderr := s.facteur(t, 0, "validate", ".")
	assert.Equal(t, "2 flows and 2 test files checked: no problems\n", stderr)
	stdout, _ = s.facteur(t, 0, "test", ".")
	assert.Contains(t, stdout, "4 cases: 4 passed, 0 failed")
	_, stderr = s.facteur(t, 2, "templates", "use", "hello", "--out", "flows")
	assert.Contains(t, stderr, "nothing was written")
	_, stderr = s.facteur(t, 2, "templates", "use", "helo")
	assert.Contains(t, stderr, `did you mean "hello"?`)
	_, stderr = s.facteur(t, 2, "templates", "use", "hello", "--language", "de")
	assert.Contains(t, stderr, "it exists in fr")
}

// TestTemplatesOfEveryKind: the flow of each template of the example account validates,
// and its test passes.
func TestTemplatesOfEveryKind(t *testing.T) {
	s := newTemplateProject(t)
	pages, err := os.ReadFile("testdata/templates.json")
	require.NoError(t, err)
	s.answer = string(pages)
	s.facteur(t, 0, "templates", "pull")
	for _, file := range s.files(t) {
		name, language, _ := strings.Cut(strings.TrimSuffix(file, ".json"), ".")
		if language == "fr" {
			s.facteur(t, 0, "templates", "use", name, "--language", language, "--out", "flows")
		}
	}
	stdout, stderr := s.facteur(t, 0, "validate", "flows")
	assert.Contains(t, stderr, "no problems", stdout)
	s.facteur(t, 0, "test", "flows")
}

func TestTemplatesAreCompared(t *testing.T) {
	s := newTemplateProject(t)
	flow := func(message string) string {
		return "flow: f\nsteps:\n  - id: s\n    action: whatsapp.send_message\n    connection: shop\n    with:\n      sender_phone_id: \"1\"\n      recipient: \"+33612345678\"\n      message_type: template\n      message: " + message + "\n"
	}
	file := filepath.Join(s.dir, "f.flow.yaml")
	write(t, file, flow(`{name: code, language: {code: en}}`))
	const note = "note: template messages were checked only for their form"
	write(t, filepath.Join(s.dir, "g.flow.yaml"), strings.Replace(flow(`{name: other, language: {code: en}}`), "flow: f", "flow: g", 1))
	_, stderr := s.facteur(t, 0, "validate", ".")
	assert.Equal(t, 1, strings.Count(stderr, note), stderr)
	_, stderr = s.facteur(t, 0, "validate", "--json", ".")
	assert.Contains(t, stderr, note)
	write(t, filepath.Join(s.dir, "g.flow.yaml"), "flow: g\nsteps:\n  - wait: 1s\n")
	require.NoError(t, os.Remove(file))
	_, stderr = s.facteur(t, 0, "validate", ".")
	assert.NotContains(t, stderr, note, "no flow sends a template")

	s.answer = accountPage(codeTemplate)
	s.facteur(t, 0, "templates", "pull")
	write(t, file, flow(`{name: code, language: {code: en}}`))
	_, stderr = s.facteur(t, 2, "validate", "f.flow.yaml")
	assert.Contains(t, stderr, `f.flow.yaml:10:46: error: message.language.code: the template code does not exist in "en"`)
	assert.Contains(t, stderr, "[template-language]")
	assert.NotContains(t, stderr, note)
	for _, args := range [][]string{{"run", "f.flow.yaml", "--dry-run"}} {
		_, stderr = s.facteur(t, 2, args...)
		assert.Contains(t, stderr, "[template-language]")
	}
	stdout, _ := s.facteur(t, 0, "explain", "template-language")
	assert.Contains(t, stdout, "en and en_US are different")

	// A language that is only known when the flow runs: Meta decides, not the copy.
	write(t, file, "flow: f\ninputs: {language: {type: string}}\n"+strings.TrimPrefix(flow("{name: code, language: {code: \"${inputs.language}\"}, components: [{type: body, parameters: [{type: text, text: \"1\"}]}, {type: button, sub_type: url, index: 0, parameters: [{type: text, text: \"1\"}]}]}"), "flow: f\n"))
	s.facteur(t, 0, "run", "f.flow.yaml", "--dry-run", "--input", "language=de")

	write(t, filepath.Join(s.dir, "templates", "code.en_US.json"), "{")
	_, stderr = s.facteur(t, 2, "validate", ".")
	assert.Contains(t, stderr, "[template-files]")
}
