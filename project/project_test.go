package project_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"facteur/project"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// folder makes a folder with files, by their paths in it.
func folder(t *testing.T, files map[string]string) string {
	t.Helper()
	dir, err := filepath.EvalSymlinks(t.TempDir())
	require.NoError(t, err)
	for name, text := range files {
		path := filepath.Join(dir, filepath.FromSlash(name))
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	}
	return dir
}

const noop = "steps:\n  - set: {done: true}\n"

// A project is found from any file in it, and its flows are those below its folder that are
// of no other project.
func TestOpen(t *testing.T) {
	dir := folder(t, map[string]string{
		"facteur.yaml":                   "settings: {shop: Chez Nous}\n",
		"a.flow.yaml":                    "flow: a\n" + noop,
		"more/b.flow.yaml":               "flow: b\n" + noop,
		"more/twice.flow.yaml":           "flow: a\n" + noop,
		"more/wrong.flow.yaml":           "flow: wrong\nsteps: 7\n",
		"more/calls.flow.yaml":           "flow: calls\nsteps: [{call: wrong}]\n",
		"more/notes.yaml":                "x: 1\n",
		".hidden/c.flow.yaml":            "flow: c\n" + noop,
		"node_modules/d.flow.yaml":       "flow: d\n" + noop,
		"examples/other/facteur.yaml":    "",
		"examples/other/other.flow.yaml": "flow: other\n" + noop,
	})
	p, found, err := project.Open(filepath.Join(dir, "more", "b.flow.yaml"))
	require.NoError(t, err)
	require.Empty(t, found)
	assert.Equal(t, dir, p.Root)
	assert.Equal(t, "Chez Nous", p.Settings["shop"])
	assert.Equal(t, filepath.Join(dir, "data"), p.Abs(p.Data))

	flows, found, err := project.LoadFlows(p)
	require.NoError(t, err)
	assert.Len(t, flows.Plans, 2, "the flow that calls the wrong one is told of by what is wrong there")
	var codes []string
	for _, d := range found {
		codes = append(codes, filepath.Base(d.Range.Source.Name)+" "+d.Code)
	}
	assert.ElementsMatch(t, []string{"twice.flow.yaml duplicate-flow", "wrong.flow.yaml wrong-kind"}, codes)
	names, err := p.Index()
	require.NoError(t, err)
	assert.Contains(t, names, "wrong", "a flow with mistakes is known by its name")
	assert.NotContains(t, names, "other")

	other, _, err := project.Open(filepath.Join(dir, "examples", "other"))
	require.NoError(t, err)
	assert.Equal(t, filepath.Join(dir, "examples", "other"), other.Root)
}

// What is wrong with a project file is told with its place, or with its cure.
func TestOpenWrong(t *testing.T) {
	_, found, err := project.Load(folder(t, map[string]string{"facteur.yaml": "server: {engin: local}\n"}))
	require.NoError(t, err)
	assert.ErrorContains(t, found.Err(), "engin")

	_, _, err = project.Load(folder(t, map[string]string{"facteur.yaml": "ledger: {postgres: \"postgres://facteur:hunter22@db.test/facteur\"}\n"}))
	wrong, ok := errors.AsType[*project.Error](err)
	require.True(t, ok, err)
	assert.Contains(t, wrong.Hint, "PGPASSWORD")
	assert.NotContains(t, wrong.Error(), "hunter22")
	assert.False(t, wrong.System)

	t.Setenv("FACTEUR_SERVER_WORKERS", "many")
	_, _, err = project.Load(folder(t, nil))
	assert.ErrorContains(t, err, "FACTEUR_SERVER_WORKERS")
}

// The journals of a data folder are the daemon's, then those of runs in the foreground: as
// many as there were at the same time.
func TestJournals(t *testing.T) {
	dir := t.TempDir()
	assert.Empty(t, project.Journals(dir))
	first, err := project.OpenForeground(dir)
	require.NoError(t, err)
	defer first.Close()
	second, err := project.OpenForeground(dir)
	require.NoError(t, err)
	defer second.Close()
	require.NoError(t, os.WriteFile(filepath.Join(dir, project.JournalName), nil, 0o600))
	assert.Equal(t, []string{"journal.db", "foreground.db", "foreground-2.db"}, project.Journals(dir))
}

// What the vault would refuse is told with its place, and so is a host that no request has.
func TestCheck(t *testing.T) {
	_, found, err := project.Load(folder(t, map[string]string{"facteur.yaml": `
connections:
  api: {app: HTTP, base_url: api.test}
  shop: {app: WHATSAPP, vault: {mount: kv, path: x, fields: {tokn: t}}}
  hook: {app: WEBHOOK, sender_phone_id: "7"}
http: {allow_hosts: ["https://api.shop.test/", "*.shop.test", "10.0.0.1:80", "[::1]", "a b"]}
`}))
	require.NoError(t, err)
	var told []string
	for _, d := range found {
		told = append(told, fmt.Sprintf("%d:%d %s [%s]", d.Range.Pos().Line, d.Range.Pos().Col, d.Message, d.Code))
	}
	assert.Equal(t, []string{
		`3:20 connections.api.base_url: it does not match ^https?://[^\s/@?#]+(/[^\s?#]*)?$ [pattern]`,
		"5:24 connections.hook.sender_phone_id: there is no such field [unknown-field]",
		"4:62 connections.shop.tokn: there is no such field [unknown-field]",
		`6:22 http.allow_hosts[0]: "https://api.shop.test/" is not a host [pattern]`,
		`6:87 http.allow_hosts[4]: "a b" is not a host [pattern]`,
	}, told)
	assert.Equal(t, "write api.shop.test", found[3].Hint)
}
