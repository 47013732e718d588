package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Every code of a step's or a run's error is known to "facteur explain".
func TestCodesOfErrorsAreExplained(t *testing.T) {
	found := 0
	look := func(path string) {
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
		require.NoError(t, err)
		check := func(code ast.Expr) {
			if text, ok := code.(*ast.BasicLit); ok && text.Kind == token.STRING {
				code, err := strconv.Unquote(text.Value)
				require.NoError(t, err)
				_, known := stepCodes.Explain(code)
				assert.True(t, known, "%s: nobody can look up %q", path, code)
				found++
			}
		}
		ast.Inspect(file, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.CallExpr:
				if of, ok := n.Fun.(*ast.SelectorExpr); ok && of.Sel.Name == "HeldOutcome" {
					check(n.Args[0])
				}
			case *ast.CompositeLit:
				if of, ok := n.Type.(*ast.SelectorExpr); !ok || of.Sel.Name != "Error" {
					return true
				}
				for _, field := range n.Elts {
					if f, ok := field.(*ast.KeyValueExpr); ok && f.Key.(*ast.Ident).Name == "Code" {
						check(f.Value)
					}
				}
			}
			return true
		})
	}
	for _, root := range []string{"../../actions", "../../flow"} {
		require.NoError(t, filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
			if d.IsDir() && strings.HasSuffix(d.Name(), "test") { // conformance suites
				return fs.SkipDir
			}
			if err == nil && strings.HasSuffix(path, ".go") && !strings.HasSuffix(path, "_test.go") {
				look(path)
			}
			return err
		}))
	}
	assert.Greater(t, found, 20)
}

func TestEveryCodeHasAText(t *testing.T) {
	for _, c := range codes {
		assert.NotEmpty(t, c.Text, c.Code)
	}
}

// So is every rule of http.request.
func TestRulesOfRequestsAreExplained(t *testing.T) {
	for _, file := range []string{"check.go", "secret.go"} {
		source, err := os.ReadFile(filepath.Join("../../actions/httpcall", file))
		require.NoError(t, err)
		rules := regexp.MustCompile(`"(http-[a-z-]+)"`).FindAllStringSubmatch(string(source), -1)
		require.NotEmpty(t, rules)
		for _, rule := range rules {
			_, known := requestCodes.Explain(rule[1])
			assert.True(t, known, rule[1])
		}
	}
}
