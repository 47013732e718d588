// Package project reads a project: facteur.yaml with the environment over it, the flows that it
// names, the copy of the account's templates, and where its vault, its ledger and its data are.
// Its catalogue lists what flows can do. What is wrong with what somebody wrote is a
// diagnostic with its place, or an Error with its cure.
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
// It is for one goroutine, but for Templates and what a Library of it answers.
type Project struct {
	File
	Root      string                // the folder
	Templates *TemplateCopy         // that template messages are checked with; Descriptions sets it
	Book      *whatsapp.AddressBook // of recipients; those who load a project again may pass theirs on
	// Secrets is the folder of the encrypted connections; "" for Data.
	Secrets string
	// Env is the environment that connections are read from; nil: the process's.
	Env func(string) (string, bool)

	names  map[string]*FlowFile // by name, nil before Index
	paths  map[string]*FlowFile // by path
	others sync.Map             // the answers of otherConnections, by name
}

// FileType is the shape of a project file.
func FileType() *schema.Type { return schema.Of[File]() }

// Open opens the project that a file or folder belongs to. The mistakes of its file are
// returned as diagnostics; its flows are not looked at.
func Open(path string) (*Project, diag.List, error) {
	root, err := RootOf(path)
	if err != nil {
		return nil, nil, err
	}
	return Load(root)
}

// RootOf is the nearest folder upwards with a project file, else the file's own.
func RootOf(path string) (string, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return "", err
	}
	if info, err := os.Stat(abs); err == nil && !info.IsDir() {
		abs = filepath.Dir(abs)
	}
	for dir := abs; ; dir = filepath.Dir(dir) {
		if Is(dir) {
			return dir, nil
		}
		if dir == filepath.Dir(dir) {
			return abs, nil
		}
	}
}

// Load is Open for the folder of a project.
func Load(root string) (*Project, diag.List, error) {
	p := &Project{Root: root, Book: &whatsapp.AddressBook{}}
	file := filepath.Join(root, FileName)
	text, err := os.ReadFile(file)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, nil, Surroundings(fmt.Errorf("read the project file: %w", err), "")
	}
	var value any = map[string]any{}
	var diags diag.List
	var node *flow.Node
	if len(bytes.TrimSpace(text)) > 0 {
		var found diag.List
		node, found = flow.ParseValue(Shown(file), text)
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

// check reports what no shape tells of the project file.
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
			hint := "write the host alone, such as api.shop.test"
			if u, err := url.Parse(host); err == nil && u.Host != "" {
				hint = "write " + u.Host
			}
			list.Errorf("pattern", file.Get("http").Get("allow_hosts").Items[i].Range, hint, "http.allow_hosts[%d]: %q is not a host", i, host)
		}
	}
	return list
}

// Shown is a path as messages name it: relative to the working folder where it is below.
func Shown(path string) string {
	if wd, err := os.Getwd(); err == nil {
		if rel, err := filepath.Rel(wd, path); err == nil && !strings.HasPrefix(rel, "..") {
			return rel
		}
	}
	return path
}

// At makes a path of the project file absolute.
func (p *Project) At(path string) string {
	if path == "" || filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(p.Root, path)
}

// Is tells whether a folder has a project file.
func Is(dir string) bool {
	_, err := os.Stat(filepath.Join(dir, FileName))
	return err == nil
}

// Library is what the project's flows may refer to.
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
		OtherConnections: p.otherConnections,
	}, nil
}

// app is the app that the project file gives a connection, where it names one.
func (p *Project) app(connection string) (string, bool) {
	c, ok := p.Connections[connection]
	return c.App, ok
}

// Rate is how many messages a second the numbers of a connection may send; 0: what numbers
// begin with.
func (p *Project) Rate(connection string) int { return p.Connections[connection].Rate }

// Policy is what the project file says that http.request may reach.
func (p *Project) Policy() httpcall.Policy {
	policy := httpcall.Policy{AllowHosts: p.HTTP.AllowHosts, AllowPrivate: p.HTTP.AllowPrivate}
	if p.HTTP.MaxBody > 0 {
		policy.MaxBody = int64(p.HTTP.MaxBody)
	}
	return policy
}
