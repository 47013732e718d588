// Package facteur is an engine that runs flows written in YAML whose main job is to
// send WhatsApp messages. There is no code here: see the README for the folders. The
// test beside this file keeps their order.
package facteur

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// law says what each folder may import of ours. A folder that is not listed fails the
// test: whoever adds one decides here where it stands.
var law = []struct {
	folder string
	allow  []string
	why    string
}{
	{"flow/diag", nil, "what is said about a text stands below everything"},
	{"flow/schema", []string{"flow/diag"}, "shapes know no language"},
	{"flow/call", []string{"flow/schema"}, "what the language and the actions say to each other"},
	{"flow/expr", []string{"flow/diag", "flow/schema", "flow/call"}, "expressions know types, not flows"},
	{"flow", []string{"flow/diag", "flow/schema", "flow/call"}, "syntax knows no types of expressions"},
	{"flow/plan", []string{"flow", "flow/diag", "flow/schema", "flow/call", "flow/expr"}, "compiling does nothing"},
	{"flow/machine", []string{"flow/plan", "flow/expr", "flow/call", "flow/schema", "flow/diag"}, "the machine is pure"},
	{"flow/machine/stored", []string{"flow/machine", "flow/call", "flow/schema"}, "the form in which hosts keep what happened"},
	{"flow/host", []string{"flow/machine", "flow/plan", "flow/call", "flow/schema"}, "what every host offers"},
	{"flow/host/hosttest", []string{"flow", "flow/schema", "flow/call", "flow/plan", "flow/machine", "flow/host"}, "the conformance suite of hosts"},
	{"benchtest", nil, "what is measured does not matter to it"},
	{"sqlitefile", []string{"privatefile"}, "a file knows nothing of what it holds"},
	{"privatefile", nil, "a file knows nothing of what it holds"},
	{"flow/journal", []string{"sqlitefile"}, "a journal stores what it does not understand"},
	{"flow/journal/journaltest", []string{"flow/journal"}, "the conformance suite of journals"},
	{"flow/local", []string{"flow/host", "flow/machine", "flow/machine/stored", "flow/plan", "flow/expr", "flow/journal", "flow/call", "flow/schema"}, "a host"},
	{"flow/temporal", []string{"flow/host", "flow/machine", "flow/machine/stored", "flow/plan", "flow/expr", "flow/call", "flow/schema"}, "a host"},
	{"flow/trigger", []string{"flow/host", "flow/plan", "flow/expr"}, "what starts flows, on any host"},
	{"flow/record", []string{"flow", "flow/diag", "flow/schema", "flow/call", "flow/expr"}, "recordings know HTTP, not actions"},
	{"flow/suite", []string{"flow", "flow/diag", "flow/schema", "flow/call", "flow/expr", "flow/plan", "flow/machine", "flow/host", "flow/local", "flow/journal", "flow/record"}, "the language does not know WhatsApp"},
	{"vault", []string{"privatefile"}, "secrets stay where they are"},
	{"vault/vaulttest", []string{"vault"}, "a fake server"},
	{"actions", []string{"flow/call", "flow/schema", "vault"}, "actions know calls, not flows"},
	{"actions/httpcall", []string{"actions", "flow/call", "flow/schema", "vault"}, "an action"},
	{"actions/webhook", []string{"actions", "flow/call", "flow/schema", "vault"}, "requests from outside know no flows"},
	{"actions/whatsapp", []string{"actions", "actions/whatsapp/graph", "actions/whatsapp/numbering", "actions/whatsapp/templates", "flow/call", "flow/schema", "vault"}, "actions"},
	{"actions/whatsapp/account", []string{"actions", "actions/whatsapp", "actions/whatsapp/graph", "actions/whatsapp/inbound", "actions/whatsapp/templates", "flow/call", "flow/schema", "vault"}, "what people ask Meta about an account; no send asks it"},
	{"actions/whatsapp/graph", []string{"actions", "flow/call", "flow/schema"}, "what the API says knows no messages"},
	{"actions/whatsapp/inbound", []string{"actions", "actions/webhook", "actions/whatsapp", "actions/whatsapp/graph", "flow/call", "flow/schema", "vault"}, "what Meta tells by itself; no send waits for it here"},
	{"actions/whatsapp/numbering", nil, "phone numbers are no messages"},
	{"actions/whatsapp/onpremises", []string{"actions/whatsapp", "flow/schema"}, "what was sent is brought to what can be sent"},
	{"actions/whatsapp/simulator/phone", []string{"actions", "actions/whatsapp/graph", "actions/whatsapp/templates", "flow/schema"}, "messages as people see them know no simulator"},
	{"actions/whatsapp/simulator/livepage", nil, "a page knows nothing of what it shows"},
	{"actions/whatsapp/simulator", []string{"actions", "actions/whatsapp", "actions/whatsapp/simulator/livepage", "actions/whatsapp/simulator/phone", "actions/whatsapp/graph", "actions/whatsapp/templates", "flow/schema"}, "a stand-in for the API answers with the rules and words of the client"},
	{"actions/whatsapp/templates", []string{"actions", "actions/whatsapp/graph", "flow/schema"}, "what messages fill in knows no messages"},
	{"actions/whatsapp/ledger", []string{"actions/whatsapp", "actions/whatsapp/inbound", "flow/call", "flow/schema", "sqlitefile"}, "what is known of contacts and messages; actions ask it through whatsapp.Options"},
	{"actions/whatsapp/ledger/ledgertest", []string{"actions/whatsapp", "actions/whatsapp/graph", "actions/whatsapp/inbound", "actions/whatsapp/ledger", "flow/call"}, "the conformance suite of ledgers"},
	{"server", []string{"flow/host", "flow/plan", "flow/call", "flow/schema", "flow/machine", "flow/diag", "flow/record", "privatefile"}, "the daemon over HTTP knows hosts, not actions"},
	{"project", []string{"actions", "actions/httpcall", "actions/webhook", "actions/whatsapp", "actions/whatsapp/ledger", "actions/whatsapp/templates", "vault", "flow", "flow/diag", "flow/schema", "flow/call", "flow/plan", "flow/journal"}, "a folder of flows knows no daemon and no command line"},
	{"cmd/facteur", []string{"*"}, "the command wires everything"},
	{"cmd/facteur/bubble", []string{"actions/whatsapp/simulator", "actions/whatsapp/simulator/phone"}, "messages in a terminal"},
	{"cmd/facteur/curl", nil, "what people paste"},
	{"cmd/facteur/daemon", []string{"actions", "actions/webhook", "actions/whatsapp", "actions/whatsapp/account", "actions/whatsapp/inbound", "actions/whatsapp/ledger", "actions/whatsapp/templates", "vault", "flow/diag", "flow/call", "flow/plan", "flow/machine", "flow/host", "flow/local", "flow/temporal", "flow/journal", "flow/trigger", "server", "project", "privatefile", "sqlitefile"}, "a project at work knows no command line"},
	{"cmd/facteur/dev", []string{"actions/whatsapp", "actions/whatsapp/simulator", "actions/whatsapp/simulator/livepage", "actions/whatsapp/simulator/phone", "actions/whatsapp/templates", "vault", "flow/diag", "flow/schema", "flow/plan", "flow/host", "server", "project", "cmd/facteur/daemon"}, "a project that somebody works on knows no command line"},
	{"cmd/facteur/export", []string{"flow", "flow/schema", "flow/call", "flow/plan", "flow/machine", "flow/host", "flow/local", "flow/journal", "flow/record", "flow/suite", "cmd/facteur/yamltext"}, "a run as a flow test, of whatever actions"},
	{"cmd/facteur/logtest", nil, "what a process says, whichever"},
	{"cmd/facteur/simulation", []string{"actions/whatsapp", "actions/whatsapp/inbound", "actions/whatsapp/ledger", "actions/whatsapp/simulator", "actions/whatsapp/templates", "vault", "flow/call", "flow/plan", "flow/host", "flow/record", "project", "cmd/facteur/daemon"}, "the API of one run in this process, for whichever command"},
	{"cmd/facteur/testbed", []string{"actions", "actions/whatsapp", "actions/whatsapp/ledger", "vault", "flow/call", "flow/plan", "flow/record", "flow/suite", "project", "cmd/facteur/simulation"}, "what a test case meets knows no command line"},
	{"cmd/facteur/yamltext", []string{"flow/schema"}, "values as people write them"},
}

// only says where a library, or a part of the standard library, may be imported.
var only = []struct {
	library string // a path, with everything below it
	in      []string
}{
	{"github.com/google/cel-go", []string{"flow/expr"}},
	{"gopkg.in/yaml.v3", []string{"flow", "flow/record", "flow/suite"}},
	{"github.com/spf13", []string{"cmd/facteur"}},
	{"github.com/prometheus", []string{"server"}},
	{"zombiezen.com/go/sqlite", []string{"sqlitefile", "flow/journal", "actions/whatsapp/ledger"}},
	{"modernc.org/sqlite", []string{"sqlitefile"}},
	{"github.com/hashicorp", []string{"vault"}},
	{"filippo.io/age", []string{"vault"}},
	{"github.com/jackc/pgx/v5", []string{"actions/whatsapp/ledger"}},
	{"go.temporal.io", []string{"flow/temporal"}},
	{"database/sql", []string{"sqlitefile"}},
}

// pure folders do no IO and have no clock.
var pure = []string{"flow/diag", "flow/schema", "flow/call", "flow/expr", "flow", "flow/plan", "flow/machine"}

var impure = []string{"os", "net", "net/http", "database/sql", "log", "log/slog"}

func TestImports(t *testing.T) {
	for _, f := range sources(t) {
		allow, known := allowed(f.folder)
		if !known {
			t.Errorf("%s: the folder %q is not in the law of this test", f.path, f.folder)
			continue
		}
		for _, spec := range f.ast.Imports {
			library := strings.Trim(spec.Path.Value, `"`)
			if ours, ok := strings.CutPrefix(library, "facteur/"); ok {
				if !slices.Contains(allow, ours) && !slices.Contains(allow, "*") {
					t.Errorf("%s imports %s, which %s may not", f.path, ours, f.folder)
				}
				continue
			}
			for _, o := range only {
				if (library == o.library || strings.HasPrefix(library, o.library+"/")) && !slices.Contains(o.in, f.folder) {
					t.Errorf("%s imports %s, which only %s may", f.path, library, strings.Join(o.in, ", "))
				}
			}
			if slices.Contains(pure, f.folder) && slices.Contains(impure, library) {
				t.Errorf("%s imports %s, but %s does no IO", f.path, library, f.folder)
			}
			if f.folder == "flow/machine" && (library == "context" || library == "sync") {
				t.Errorf("%s imports %s, but the machine is pure", f.path, library)
			}
		}
	}
}

func TestDeclarations(t *testing.T) {
	badName := regexp.MustCompile(`(Manager|Service|Helper|Util|Utils)$`)
	for _, f := range sources(t) {
		for _, d := range f.ast.Decls {
			switch d := d.(type) {
			case *ast.FuncDecl:
				if d.Name.Name == "init" && d.Recv == nil {
					t.Errorf("%s has an init: register by passing values", f.path)
				}
			case *ast.GenDecl:
				for _, spec := range d.Specs {
					switch spec := spec.(type) {
					case *ast.TypeSpec:
						if badName.MatchString(spec.Name.Name) {
							t.Errorf("%s: %s says nothing: name what it is", f.path, spec.Name.Name)
						}
					case *ast.ValueSpec:
						if d.Tok == token.VAR && isMap(spec) {
							t.Errorf("%s: %s is a map at package level: it can be changed from anywhere", f.path, spec.Names[0].Name)
						}
					}
				}
			}
		}
		ast.Inspect(f.ast, func(n ast.Node) bool {
			sel, ok := n.(*ast.SelectorExpr)
			if !ok {
				return true
			}
			if x, ok := sel.X.(*ast.Ident); ok && x.Name == "time" && sel.Sel.Name == "Now" && slices.Contains(pure, f.folder) {
				t.Errorf("%s calls time.Now, but %s has no clock", f.path, f.folder)
			}
			if sel.Sel.Name == "Reveal" && f.folder != "vault" && !strings.HasPrefix(f.folder, "vault/") && !strings.HasPrefix(f.folder, "actions") {
				t.Errorf("%s reads the value of a secret, which only vault and actions may", f.path)
			}
			return true
		})
	}
}

func isMap(spec *ast.ValueSpec) bool {
	if _, ok := spec.Type.(*ast.MapType); ok {
		return true
	}
	for _, v := range spec.Values {
		switch v := v.(type) {
		case *ast.CompositeLit:
			if _, ok := v.Type.(*ast.MapType); ok {
				return true
			}
		case *ast.CallExpr:
			if f, ok := v.Fun.(*ast.Ident); ok && f.Name == "make" && len(v.Args) > 0 {
				if _, ok := v.Args[0].(*ast.MapType); ok {
					return true
				}
			}
		}
	}
	return false
}

func TestEveryPackageSaysWhenToUseIt(t *testing.T) {
	docs := map[string][]string{}
	for _, f := range sources(t) {
		if f.ast.Doc != nil {
			docs[f.folder] = append(docs[f.folder], f.path)
		} else if docs[f.folder] == nil {
			docs[f.folder] = []string{}
		}
	}
	for folder, in := range docs {
		if len(in) != 1 {
			t.Errorf("%s has %d package comments, wants one: %v", folder, len(in), in)
		}
	}
}

func TestFolderNames(t *testing.T) {
	for _, f := range sources(t) {
		for part := range strings.SplitSeq(f.folder, "/") {
			switch part {
			case "utils", "util", "pkg", "common", "types", "models", "core", "helpers", "internal":
				t.Errorf("%s: a folder named %q says nothing", f.path, part)
			}
		}
	}
}

type source struct {
	path   string
	folder string
	ast    *ast.File
}

// sources parses every Go file that is not a test.
func sources(t *testing.T) []source {
	t.Helper()
	var out []source
	err := filepath.WalkDir(".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			_, module := os.Stat(filepath.Join(name, "go.mod"))
			if name != "." && (module == nil || strings.HasPrefix(d.Name(), ".") || d.Name() == "testdata") {
				return fs.SkipDir // a module of its own has its own order
			}
			return nil
		}
		if !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") {
			return nil
		}
		f, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ParseComments)
		if err != nil {
			return err
		}
		name = filepath.ToSlash(name)
		out = append(out, source{name, path.Dir(name), f})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(out) == 0 {
		t.Fatal("found no sources")
	}
	return out
}

func allowed(folder string) ([]string, bool) {
	for _, l := range law {
		if l.folder == folder {
			return l.allow, true
		}
	}
	return nil, false
}
