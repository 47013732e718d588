package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"facteur/flow"
	"facteur/flow/schema"
	"facteur/project"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const deploy = "../../examples/deploy"

// settingsOf adds the variables that override keys of the project file.
func settingsOf(name string, t *schema.Type, into map[string]bool) {
	if t.Kind != schema.Object {
		into[name] = true
		return
	}
	for _, f := range t.Fields {
		if f.Name != "connections" {
			settingsOf(name+"_"+strings.ToUpper(f.Name), f.Type, into)
		}
	}
}

// The variables, commands and flags that the files for operators use exist.
func TestDeployNames(t *testing.T) {
	known := map[string]bool{}
	settingsOf("FACTEUR", project.FileType(), known)
	files, err := filepath.Glob(deploy + "/*")
	require.NoError(t, err)
	for _, path := range files {
		text, err := os.ReadFile(path)
		if err != nil {
			continue // a folder
		}
		for _, name := range regexp.MustCompile(`\bFACTEUR_[A-Z_]*[A-Z]\b`).FindAllString(string(text), -1) {
			if !strings.HasPrefix(name, "FACTEUR_CONNECTION") && !strings.HasPrefix(name, "FACTEUR_SETTINGS") {
				assert.True(t, known[name], "%s: no key of the project file is %s", path, name)
			}
		}
		if filepath.Ext(path) != ".md" {
			continue
		}
		for _, block := range regexp.MustCompile("(?ms)^```\n(.*?)^```$").FindAllStringSubmatch(string(text), -1) {
			for line := range strings.SplitSeq(block[1], "\n") {
				line, _, _ = strings.Cut(line, " #")
				if args, ok := strings.CutPrefix(line, "facteur "); ok {
					args, _, _ = strings.Cut(args, " > ")
					assertCommand(t, strings.Fields(args))
				}
			}
		}
	}
}

// assertCommand checks that a command and its flags exist.
func assertCommand(t *testing.T, args []string) {
	t.Helper()
	root := (&app{}).root()
	c, rest, err := root.Find(args)
	require.NoError(t, err, args)
	require.NotEqual(t, root, c, args)
	for _, arg := range rest {
		name, ok := strings.CutPrefix(arg, "--")
		if !ok {
			continue
		}
		name, _, _ = strings.Cut(name, "=")
		assert.NotNil(t, c.Flags().Lookup(name), "facteur %s has no flag --%s", strings.Join(args, " "), name)
	}
}

// The compose file is one, its daemons are started as the command understands, and they open
// the project as daemons on Temporal.
func TestCompose(t *testing.T) {
	path := filepath.Join(deploy, "compose.yaml")
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	node, found := flow.ParseValue(path, text)
	require.NoError(t, found.Err())
	value, found := node.Coerce(&schema.Type{Kind: schema.Any})
	require.NoError(t, found.Err())
	again, err := json.Marshal(schema.JSON(value))
	require.NoError(t, err)
	var compose struct {
		Services map[string]struct {
			Image, Build any
			Command      any
			Environment  map[string]string
			Volumes      []string
			DependsOn    map[string]any `json:"depends_on"`
		}
		Volumes map[string]any
	}
	require.NoError(t, json.Unmarshal(again, &compose))
	for name, s := range compose.Services {
		for other := range s.DependsOn {
			assert.Contains(t, compose.Services, other, name)
		}
		for _, v := range s.Volumes {
			if v, ok := strings.CutPrefix(v, "./"); ok {
				file, _, _ := strings.Cut(v, ":")
				if filepath.Ext(file) != "" {
					assert.FileExists(t, filepath.Join(deploy, file), name)
				}
			}
		}
	}
	daemon := compose.Services["facteur"]
	var args []string
	for _, arg := range daemon.Command.([]any) {
		args = append(args, arg.(string))
	}
	assertCommand(t, args)

	dir := t.TempDir()
	write(t, filepath.Join(dir, project.FileName), "connections: {whatsapp_shop: {app: WHATSAPP}}\n")
	for name, value := range daemon.Environment {
		t.Setenv(name, value)
	}
	t.Setenv("FACTEUR_SERVER_PUBLIC_URL", "https://facteur.shop.test")
	p, found, err := project.Open(dir)
	require.NoError(t, err)
	require.Empty(t, found)
	config, err := serveFlags{Server: project.Server{Engine: args[len(args)-1]}}.settings(p)
	require.NoError(t, err)
	assert.Equal(t, project.EngineTemporal, config.Engine)
	assert.Equal(t, "temporal:7233", p.Temporal.Address)
	assert.Equal(t, "facteur", p.Temporal.Namespace)
	assert.NotEmpty(t, p.Ledger.Postgres)
	assert.Equal(t, "/shared/vault.key", p.Abs(p.Vault.KeyFile))
	assert.Equal(t, "/shared/keys.json", p.KeysFile())
}
