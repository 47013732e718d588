package plan_test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"facteur/flow"
	"facteur/flow/diag"
	"facteur/flow/expr"
	"facteur/flow/plan"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const corpus = "../../testdata/plans"

// A project holds all flows of the corpus, which may call each other.
type project struct {
	flows map[string]*flow.Flow // by name
	paths map[string]string     // of the files, by flow name
	diags map[string]diag.List  // of parsing, by path
}

func open(t testing.TB) *project {
	p := &project{flows: map[string]*flow.Flow{}, paths: map[string]string{}, diags: map[string]diag.List{}}
	paths, err := filepath.Glob(filepath.Join(corpus, "*", "*.flow.yaml"))
	require.NoError(t, err)
	require.NotEmpty(t, paths)
	for _, path := range paths {
		text, err := os.ReadFile(path)
		require.NoError(t, err)
		f, diags := flow.Parse(path, text)
		require.NotNil(t, f, "%s: %v", path, diags)
		require.NotContains(t, p.flows, f.Name.Value, path)
		p.flows[f.Name.Value], p.paths[f.Name.Value], p.diags[path] = f, path, diags
	}
	return p
}

func (p *project) library() plan.Library {
	names := []string{"unreadable"}
	for name := range p.flows {
		names = append(names, name)
	}
	return plan.Library{
		Catalog:   catalog(),
		Flow:      func(name string) *flow.Flow { return p.flows[name] },
		FlowNames: names,
		Settings:  map[string]any{"shop": "Chez Nous", "retries": int64(3), "rates": []any{int64(1), 2.5}, "opens": map[string]any{"mon": "9:00", "tue": "10:00"}},
		ConnectionApp: func(connection string) (string, bool) {
			app, ok := map[string]string{"shop": "WHATSAPP", "web": "HTTP", "hook": "WEBHOOK"}[connection]
			return app, ok
		},
		OtherConnections: func(connection string) []string {
			names := []string{"hook", "shop", "vault_only", "web"}
			if slices.Contains(names, connection) {
				return nil
			}
			return names
		},
	}
}

// each runs a test for every flow in a folder of the corpus, with all diagnostics of compiling
// it together with its project.
func (p *project) each(t *testing.T, folder string, test func(t *testing.T, f *flow.Flow, compiled *plan.Plan, diags diag.List)) {
	c := plan.NewCompiler(p.library())
	for _, name := range sorted(p.flows) {
		if path := p.paths[name]; filepath.Base(filepath.Dir(path)) == folder {
			t.Run(strings.TrimSuffix(filepath.Base(path), ".flow.yaml"), func(t *testing.T) {
				compiled, found := c.Compile(p.flows[name])
				diags := slices.Clone(p.diags[path])
				diags.Add(found)
				diags.Sort()
				test(t, p.flows[name], compiled, diags)
			})
		}
	}
}

func sorted[V any](m map[string]V) []string {
	var keys []string
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

func TestGood(t *testing.T) {
	open(t).each(t, "good", func(t *testing.T, _ *flow.Flow, compiled *plan.Plan, diags diag.List) {
		assert.Empty(t, diags)
		require.NotNil(t, compiled)
	})
}

// Each expected diagnostic of the corpus is a comment at the end of the line that causes it:
//
//	# want "code" "part of the message"
//
// +N before it says that the diagnostic is N lines further down, @N that it starts in that
// column; hint "…" after it is a part of the hint. There may be several in a line.
func TestBad(t *testing.T) {
	open(t).each(t, "bad", func(t *testing.T, f *flow.Flow, compiled *plan.Plan, diags diag.List) {
		wants := expectationsOf(t, f.Source)
		require.NotEmpty(t, wants, "a bad flow has at least one want comment")
		for _, d := range diags {
			assert.NotEmpty(t, d.Code)
			i := slices.IndexFunc(wants, func(w expectation) bool { return w.matches(d) })
			if i < 0 {
				t.Errorf("unexpected: %s\n\thint: %s", d.Error(), d.Hint)
				continue
			}
			wants = slices.Delete(wants, i, i+1)
		}
		for _, w := range wants {
			t.Errorf("%s:%d: missing: %s", f.Source.Name, w.line, w)
		}
		assert.Equal(t, diags.HasErrors(), compiled == nil)
	})
}

type expectation struct {
	line, col           int
	code, message, hint string
}

func (w expectation) String() string {
	return fmt.Sprintf("[%s] %q, column %d, hint %q", w.code, w.message, w.col, w.hint)
}

func (w expectation) matches(d diag.Diagnostic) bool {
	at := d.Range.Pos()
	return d.Code == w.code && at.Line == w.line && (w.col == 0 || at.Col == w.col) &&
		strings.Contains(d.Message, w.message) && strings.Contains(d.Hint, w.hint)
}

var (
	wantMark  = regexp.MustCompile(`# want (.*)$`)
	wantToken = regexp.MustCompile(`^ *(?:\+(\d+)|@(\d+)|(hint)|("(?:[^"\\]|\\.)*"))`)
)

func expectationsOf(t testing.TB, src *diag.Source) []expectation {
	var wants []expectation
	for i, line := range strings.Split(string(src.Text), "\n") {
		m := wantMark.FindStringSubmatch(line)
		if m == nil {
			continue
		}
		var texts []string
		w := expectation{line: i + 1}
		flush := func() {
			if len(texts) == 2 {
				w.code, w.message = texts[0], texts[1]
				wants = append(wants, w)
				w, texts = expectation{line: i + 1}, nil
			}
		}
		hint := false
		for rest := m[1]; rest != ""; {
			token := wantToken.FindStringSubmatch(rest)
			require.NotNil(t, token, "%s:%d: %s", src.Name, i+1, rest)
			rest = rest[len(token[0]):]
			switch {
			case token[3] != "":
				hint = true
			case token[4] != "":
				text, err := strconv.Unquote(token[4])
				require.NoError(t, err)
				if hint {
					w.hint, hint = text, false
				} else if flush(); true {
					texts = append(texts, text)
				}
			default:
				flush()
				n, _ := strconv.Atoi(token[1] + token[2])
				if token[1] != "" {
					w.line += n
				} else {
					w.col = n
				}
			}
		}
		flush()
		require.Empty(t, texts, "%s:%d", src.Name, i+1)
	}
	return wants
}

func TestEveryCodeIsExplainedAndRaised(t *testing.T) {
	raised := map[string]bool{"duplicate-flow": true} // raised where the files of a project are found
	open(t).each(t, "bad", func(t *testing.T, _ *flow.Flow, _ *plan.Plan, diags diag.List) {
		for _, d := range diags {
			raised[d.Code] = true
			if strings.HasPrefix(d.Code, "test-") { // a rule of the catalogue
				continue
			}
			_, ofPlan := plan.Codes.Explain(d.Code)
			_, ofExpr := expr.Codes.Explain(d.Code)
			_, ofFlow := flow.Codes.Explain(d.Code)
			assert.True(t, ofPlan || ofExpr || ofFlow, "%s is not explained", d.Code)
		}
	})
	for _, c := range plan.Codes {
		assert.True(t, raised[c.Code], "no file of the corpus raises %s", c.Code)
	}
}
