// Package project reads a project: facteur.yaml with the environment over it, the flows that it
// names, the copy of the account's templates, and where its vault, its ledger and its data are.
// Its catalogue lists what flows can do. Mistakes in these files are diagnostics with their
// place, or an Error with a hint.
package project

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"facteur/actions/httpcall"
	"facteur/actions/whatsapp"
	"facteur/flow"
	"facteur/flow/diag"
	"facteur/flow/plan"
	"facteur/flow/schema"
	"facteur/vault"
)

// A Project is a folder of flows and its project file, which may be missing.
// It is for one goroutine, except Templates and the functions of its Library.
type Project struct {
	File
	Root       string                   // the folder
	Templates  *TemplateCopy            // that template messages are checked with; Descriptions sets it
	Recipients *whatsapp.RecipientCache // a cache of parsed recipients, which may be passed on when a project is loaded again
	// Secrets is the folder of the encrypted connections; "" for Data.
	Secrets string
	// Env is the environment that connections are read from; nil: the process's.
	Env func(string) (string, bool)

	names       map[string]*FlowFile // by name, nil before Index
	paths       map[string]*FlowFile // by path
	suggestions sync.Map             // the answers of otherConnections, by name
}

// FileType is the shape of a project file.
func FileType() *schema.Type { return schema.Of[File]() }

// Open opens the project that a file or folder belongs to. Mistakes in the project file are
// returned as diagnostics; the flows are not read.
func Open(path string) (*Project, diag.List, error) {
	root, err := RootOf(path)
	if err != nil {
		return nil, nil, err
	}
	return Load(root)
}

// RootOf returns the nearest folder upwards with a project file, else the path's own folder.
func RootOf(path string) (string, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return "", err
	}
	if info, err := os.Stat(abs); err == nil && !info.IsDir() {
		abs = filepath.Dir(abs)
	}
	for dir := abs; ; dir = filepath.Dir(dir) {
		if HasFile(dir) {
			return dir, nil
		}
		if dir == filepath.Dir(dir) {
			return abs, nil
		}
	}
}

// Load is Open for the folder of a project.
func Load(root string) (*Project, diag.List, error) {
	p := &Project{Root: root, Recipients: &whatsapp.RecipientCache{}}
	file := filepath.Join(root, FileName)
	text, err := os.ReadFile(file)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, nil, SystemError(fmt.Errorf("read the project file: %w", err), "")
	}
	var value any = map[string]any{}
	var diags diag.List
	var node *flow.Node
	if len(bytes.TrimSpace(text)) > 0 {
		var found diag.List
		node, found = flow.ParseValue(RelPath(file), text)
		diags.Add(found)
		if node != nil && node.Kind != flow.NullNode {
			var more diag.List
			value, more = node.Coerce(FileType())
			diags.Add(more)
		}
	}
	if diags.HasErrors() {
		return p, diags, nil
	}
	if err := schema.Decode(value, &p.File); err != nil {
		return nil, nil, err
	}
	if p.Data == "" {
		p.Data = "./data"
	}
	if diags.Add(p.check(node)); diags.HasErrors() {
		return p, diags, nil
	}
	if err := p.Ledger.check(); err != nil {
		return nil, nil, err
	}
	if err := p.override(os.LookupEnv); err != nil {
		return nil, nil, err
	}
	return p, diags, nil
}

// check reports the mistakes in the project file that its schema cannot express.
func (p *Project) check(file *flow.Node) (list diag.List) {
	declared := file.Get("connections")
	for _, wrong := range vault.Check(p.vaultConfig().Connections) {
		var at diag.Range
		here := declared.Get(wrong.Connection)
		fields := here.Get("vault").Get("fields")
		for _, e := range []*flow.Entry{declared.Entry(wrong.Connection), here.Entry(wrong.Field), fields.Entry(wrong.Field)} {
			if e != nil {
				at = e.Key.Whole
			}
		}
		code, place := "pattern", wrong.Connection+"."+wrong.Field
		if wrong.Field == "name" { // of the connection itself
			place = wrong.Connection
		} else if !slices.ContainsFunc(vault.Fields(wrong.App), func(f vault.Field) bool { return f.Name == wrong.Field }) {
			code = "unknown-field"
		}
		list.Errorf(code, at, wrong.Hint, "connections.%s: %s", place, wrong.Problem)
	}
	for i, host := range p.HTTP.AllowHosts {
		if strings.ContainsAny(host, "/?#@ ") {
			hint := "write only the host, such as api.shop.test"
			if u, err := url.Parse(host); err == nil && u.Host != "" {
				hint = "write " + u.Host
			}
			list.Errorf("pattern", file.Get("http").Get("allow_hosts").Items[i].Range, hint, "http.allow_hosts[%d]: %q is not a host", i, host)
		}
	}
	return list
}

// RelPath is a path as messages show it: relative if it is below the working folder.
func RelPath(path string) string {
	if wd, err := os.Getwd(); err == nil {
		if rel, err := filepath.Rel(wd, path); err == nil && !strings.HasPrefix(rel, "..") {
			return rel
		}
	}
	return path
}

// Abs makes a path from the project file absolute; "" stays empty.
func (p *Project) Abs(path string) string {
	if path == "" || filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(p.Root, path)
}

// HasFile reports whether a folder has a project file.
func HasFile(dir string) bool {
	_, err := os.Stat(filepath.Join(dir, FileName))
	return err == nil
}

// Library returns what the project's flows may refer to.
func (p *Project) Library() (plan.Library, error) {
	catalog, err := p.Descriptions()
	if err != nil {
		return plan.Library{}, err
	}
	names, err := p.Index()
	if err != nil {
		return plan.Library{}, err
	}
	return plan.Library{
		Catalog: catalog,
		Flow: func(name string) *flow.Flow {
			if f := names[name]; f != nil && !f.Diags.HasErrors() {
				return f.Flow
			}
			return nil
		},
		FlowNames:        slices.Sorted(maps.Keys(names)),
		Settings:         p.Settings,
		ConnectionApp:    p.app,
		OtherConnections: p.suggestConnections,
	}, nil
}

// app returns the app of a connection that the project file declares.
func (p *Project) app(connection string) (string, bool) {
	c, ok := p.Connections[connection]
	return c.App, ok
}

// Rate is how many messages a second the numbers of a connection may send; 0: Meta's default.
func (p *Project) Rate(connection string) int { return p.Connections[connection].Rate }

// Policy is what http.request may reach, by the project file.
func (p *Project) Policy() httpcall.Policy {
	policy := httpcall.Policy{AllowHosts: p.HTTP.AllowHosts, AllowPrivate: p.HTTP.AllowPrivate}
	if p.HTTP.MaxBody > 0 {
		policy.MaxBody = int64(p.HTTP.MaxBody)
	}
	return policy
}
