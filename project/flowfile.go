package project

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"facteur/flow"
	"facteur/flow/diag"
	"facteur/flow/plan"
)

// The suffixes of our files.
const (
	FlowSuffix = ".flow.yaml"
	TestSuffix = ".test.yaml"
)

// A FlowFile is a flow file after parsing.
type FlowFile struct {
	Path  string
	Name  string     // also of a flow that cannot be parsed, if a line of it has the name
	Flow  *flow.Flow // nil when the file is not YAML
	Diags diag.List
}

// flowFiles lists the project's flow files.
func (p *Project) flowFiles() ([]string, error) {
	places := p.Flows
	if len(places) == 0 {
		places = []string{"."}
	}
	var files []string
	for _, place := range places {
		found, err := filesUnder(p.Abs(place), FlowSuffix)
		if err != nil {
			if errors.Is(err, fs.ErrNotExist) {
				return nil, UserError("create it, or correct flows: in "+FileName, "%s says that flows are in %q, which does not exist", FileName, place)
			}
			return nil, SystemError(fmt.Errorf("the project's flows: %w", err), "see flows: in "+FileName)
		}
		files = append(files, found...)
	}
	slices.Sort(files)
	return slices.Compact(files), nil
}

// SkipDir reports whether to skip an entry: a hidden folder, or node_modules.
func SkipDir(d fs.DirEntry) bool {
	return d.IsDir() && (strings.HasPrefix(d.Name(), ".") || d.Name() == "node_modules")
}

// filesUnder lists the files with a suffix below a folder; of a file, it is that file alone.
// Hidden folders, node_modules and the folders of other projects are skipped.
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
			if path != place && (SkipDir(d) || HasFile(path)) {
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

// Parse reads a flow file, once.
func (p *Project) Parse(path string) (*FlowFile, error) {
	if p.paths == nil {
		p.paths = map[string]*FlowFile{}
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
		return nil, UserError("", "read the flow: %w", err)
	}
	f := &FlowFile{Path: abs}
	f.Flow, f.Diags = flow.Parse(RelPath(abs), text)
	f.Name = flow.NameOf(text)
	if f.Flow != nil {
		f.Name = f.Flow.Name.Value
	}
	p.paths[abs] = f
	return f, nil
}

// Compile parses and compiles a flow file. The plan is nil when it has mistakes.
func (p *Project) Compile(path string, c *plan.Compiler) (*plan.Plan, diag.List, error) {
	f, err := p.Parse(path)
	if err != nil {
		return nil, nil, err
	}
	found := slices.Clone(f.Diags)
	var compiled *plan.Plan
	if f.Flow != nil {
		var more diag.List
		compiled, more = c.Compile(f.Flow)
		found.Add(more)
	}
	found.Sort()
	if found.HasErrors() {
		compiled = nil
	}
	return compiled, found, nil
}

// Index parses all flows of the project, once, and returns them by name. The second flow of a
// name gets a diagnostic.
func (p *Project) Index() (map[string]*FlowFile, error) {
	if p.names != nil {
		return p.names, nil
	}
	files, err := p.flowFiles()
	if err != nil {
		return nil, err
	}
	p.names = map[string]*FlowFile{}
	for _, file := range files {
		f, err := p.Parse(file)
		if err != nil {
			return nil, err
		}
		if f.Flow == nil && f.Name == "" {
			continue
		}
		if first := p.names[f.Name]; first != nil && f.Name != "" {
			if f.Flow != nil {
				f.Diags.Errorf("duplicate-flow", f.Flow.Name.Whole, "rename one of them", "the flow %q is also in %s", f.Name, RelPath(first.Path))
			}
			continue
		}
		p.names[f.Name] = f
	}
	return p.names, nil
}
