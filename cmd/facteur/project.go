package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"facteur/actions/whatsapp"
	"facteur/flow"
	"facteur/flow/call"
	"facteur/flow/diag"
	"facteur/flow/plan"
	"facteur/flow/schema"
	"facteur/vault"
)

// A project is a folder of flows and its project file, which may be missing.
type project struct {
	projectFile
	root      string // the folder
	names     map[string]*parsed
	paths     map[string]*parsed
	templates *templateCopy // what descriptions checks template messages with
	book      *whatsapp.AddressBook
	// secrets is the folder of the encrypted connections; "" for Data.
	secrets string
	// env is the environment that connections are read from; nil: the process's.
	env func(string) (string, bool)
	// others are the answers of otherConnections, by name.
	others sync.Map
}

// parsed is a flow file after parsing.
type parsed struct {
	path  string
	name  string     // also of a flow that cannot be read, where a line of it says one
	flow  *flow.Flow // nil when the file is not YAML
	diags diag.List
}

func projectType() *schema.Type { return schema.Of[projectFile]() }

// openProject opens the project that a file or folder belongs to. Its mistakes are
// returned as diagnostics.
func openProject(path string) (*project, diag.List, error) {
	root, err := projectRoot(path)
	if err != nil {
		return nil, nil, err
	}
	return loadProject(root)
}

// projectRoot is the nearest folder upwards with a project file, else the file's own.
func projectRoot(path string) (string, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return "", err
	}
	if info, err := os.Stat(abs); err == nil && !info.IsDir() {
		abs = filepath.Dir(abs)
	}
	for dir := abs; ; dir = filepath.Dir(dir) {
		if isProject(dir) {
			return dir, nil
		}
		if dir == filepath.Dir(dir) {
			return abs, nil
		}
	}
}

func loadProject(root string) (*project, diag.List, error) {
	p := &project{root: root, book: &whatsapp.AddressBook{}}
	file := filepath.Join(root, projectName)
	text, err := os.ReadFile(file)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, nil, surroundings(fmt.Errorf("read the project file: %w", err), "")
	}
	var value any = map[string]any{}
	var diags diag.List
	if len(bytes.TrimSpace(text)) > 0 {
		node, found := flow.ParseValue(shown(file), text)
		diags.Add(found)
		if node != nil && node.Kind != flow.NullNode {
			var more diag.List
			value, more = node.Coerce(projectType())
			diags.Add(more)
		}
	}
	if diags.HasErrors() {
		return p, diags, nil
	}
	if err := schema.Decode(value, &p.projectFile); err != nil {
		return nil, nil, err
	}
	if p.Data == "" {
		p.Data = "./data"
	}
	if err := p.Ledger.check(); err != nil {
		return nil, nil, err
	}
	if err := overrideFile(&p.projectFile, os.LookupEnv); err != nil {
		return nil, nil, err
	}
	return p, diags, nil
}

// shown is a path as messages name it: relative to the working folder where it is below.
func shown(path string) string {
	if wd, err := os.Getwd(); err == nil {
		if rel, err := filepath.Rel(wd, path); err == nil && !strings.HasPrefix(rel, "..") {
			return rel
		}
	}
	return path
}

// at makes a path of the project file absolute.
func (p *project) at(path string) string {
	if path == "" || filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(p.root, path)
}

// flowFiles lists the project's flow files.
func (p *project) flowFiles() ([]string, error) {
	places := p.Flows
	if len(places) == 0 {
		places = []string{"."}
	}
	var files []string
	for _, place := range places {
		found, err := filesUnder(p.at(place), flowSuffix)
		if err != nil {
			return nil, surroundings(fmt.Errorf("the project's flows: %w", err), "see flows: in "+projectName)
		}
		files = append(files, found...)
	}
	slices.Sort(files)
	return slices.Compact(files), nil
}

// The suffixes of our files.
const (
	flowSuffix = ".flow.yaml"
	testSuffix = ".test.yaml"
)

// filesUnder lists the files below a place that end in a suffix; a file is itself.
// Hidden folders, data folders and other projects' folders inside are passed over.
func filesUnder(place, suffix string) ([]string, error) {
	info, err := os.Stat(place)
	if err != nil {
		return nil, err
	}
	if !info.IsDir() {
		return []string{place}, nil
	}
	var files []string
	err = filepath.WalkDir(place, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if path != place && (strings.HasPrefix(d.Name(), ".") || d.Name() == "node_modules" || isProject(path)) {
				return fs.SkipDir
			}
			return nil
		}
		if strings.HasSuffix(path, suffix) {
			files = append(files, path)
		}
		return nil
	})
	return files, err
}

func isProject(dir string) bool {
	_, err := os.Stat(filepath.Join(dir, projectName))
	return err == nil
}

// parse reads a flow file, once.
func (p *project) parse(path string) (*parsed, error) {
	if p.paths == nil {
		p.paths = map[string]*parsed{}
	}
	abs, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	if f := p.paths[abs]; f != nil {
		return f, nil
	}
	text, err := os.ReadFile(abs)
	if err != nil {
		return nil, wrong("", "read the flow: %w", err)
	}
	f := &parsed{path: abs}
	f.flow, f.diags = flow.Parse(shown(abs), text)
	f.name = flow.NameOf(text)
	if f.flow != nil {
		f.name = f.flow.Name.Value
	}
	p.paths[abs] = f
	return f, nil
}

// compile parses and compiles a flow file. The plan is nil when it has mistakes.
func (p *project) compile(path string, c *plan.Compiler) (*plan.Plan, diag.List, error) {
	f, err := p.parse(path)
	if err != nil {
		return nil, nil, err
	}
	found := slices.Clone(f.diags)
	var compiled *plan.Plan
	if f.flow != nil {
		var more diag.List
		compiled, more = c.Compile(f.flow)
		found.Add(more)
	}
	found.Sort()
	if found.HasErrors() {
		compiled = nil
	}
	return compiled, found, nil
}

// index parses all flows of the project and returns them by name. Two of one name are
// reported on the second.
func (p *project) index() (map[string]*parsed, error) {
	if p.names != nil {
		return p.names, nil
	}
	files, err := p.flowFiles()
	if err != nil {
		return nil, err
	}
	p.names = map[string]*parsed{}
	for _, file := range files {
		f, err := p.parse(file)
		if err != nil {
			return nil, err
		}
		if f.flow == nil && f.name == "" {
			continue
		}
		if first := p.names[f.name]; first != nil && f.name != "" {
			if f.flow != nil {
				f.diags.Errorf("duplicate-flow", f.flow.Name.Whole, "rename one of them", "the flow %q is also in %s", f.name, shown(first.path))
			}
			continue
		}
		p.names[f.name] = f
	}
	return p.names, nil
}

// library is what the project's flows may refer to.
func (p *project) projectLibrary(catalog call.Catalog) (plan.Library, error) {
	names, err := p.index()
	if err != nil {
		return plan.Library{}, err
	}
	return plan.Library{
		Catalog: catalog,
		Flow: func(name string) *flow.Flow {
			if f := names[name]; f != nil && !f.diags.HasErrors() {
				return f.flow
			}
			return nil
		},
		FlowNames: slices.Sorted(maps.Keys(names)),
		Settings:  p.Settings,
		App: func(connection string) (string, bool) {
			c, ok := p.Connections[connection]
			return c.App, ok
		},
		Others: p.otherConnections,
	}, nil
}

// otherConnections are those that are known here, when the given one is not.
func (p *project) otherConnections(name string) []string {
	if _, ok := p.Connections[name]; ok {
		return nil
	}
	if known, asked := p.others.Load(name); asked {
		return known.([]string)
	}
	var known []string
	if v, err := vault.New(p.vaultConfig()); err == nil { // else the command that needs the vault says so
		known = v.Others(name)
		_ = v.Close()
	}
	p.others.Store(name, known)
	return known
}

// vault opens the project's vault for one command. Fixed connections stand for
// themselves.
func (p *project) vault(fixed map[string]vault.Connection) (*vault.Vault, error) {
	// One command lives too briefly for a cache: a token that is rotated while a run
	// goes on is in use with the next call.
	c := p.vaultConfig()
	c.Fixed, c.CacheFor = fixed, -1
	return openVault(c)
}

func (p *project) vaultConfig() vault.Config {
	c := vault.Config{Dir: p.at(p.Data), KeyFile: p.at(p.Vault.KeyFile), Env: p.env, Connections: map[string]vault.Mapping{}}
	if p.secrets != "" {
		c.Dir, c.SealDir = p.secrets, p.at(p.Data)
	}
	if h := p.Vault.Hashicorp; h != nil {
		c.Hashicorp = &vault.Hashicorp{
			Address: h.Address, Namespace: h.Namespace, CACert: p.at(h.CACert), Timeout: h.Timeout, TokenFile: p.at(h.Auth.TokenFile),
		}
		if r := h.Auth.AppRole; r != nil {
			c.Hashicorp.AppRole = &vault.AppRole{Mount: r.Mount, RoleID: r.RoleID, RoleIDFile: p.at(r.RoleIDFile), SecretIDFile: p.at(r.SecretIDFile)}
		}
	}
	for name, f := range p.Connections {
		m := vault.Mapping{App: vault.App(f.App), Setup: f.setup()}
		if f.Vault != nil {
			m.Mount, m.Path, m.KV, m.Fields = f.Vault.Mount, f.Vault.Path, f.Vault.KV, f.Vault.Fields
		}
		c.Connections[name] = m
	}
	return c
}

func openVault(c vault.Config) (*vault.Vault, error) {
	v, err := vault.New(c)
	if err != nil {
		return nil, &exitError{code: exitWrong, err: err}
	}
	return v, nil
}

// rate is how many messages a second the numbers of a connection may send; 0: what numbers
// begin with.
func (p *project) rate(connection string) int { return p.Connections[connection].Rate }

func (f connectionFile) setup() map[string]string {
	setup := map[string]string{}
	for key, value := range map[string]string{
		"type": f.Type, "sender_phone_id": f.SenderPhoneID, "waba_id": f.WabaID, "business_id": f.BusinessID,
		"api_version": f.APIVersion, "base_url": f.BaseURL, "username": f.Username, "header": f.Header,
	} {
		if value != "" {
			setup[key] = value
		}
	}
	return setup
}
