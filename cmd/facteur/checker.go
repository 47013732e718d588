package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"

	"facteur/cmd/facteur/testbed"
	"facteur/flow/diag"
	"facteur/flow/plan"
	"facteur/flow/suite"
	"facteur/project"
)

// A checker checks files with the projects that they belong to, each file once.
type checker struct {
	projects map[string]*testbed.Project
	files    map[string]bool
	broken   map[string]bool // names of flows with errors
	found    diag.List
	flows    int
	tests    int
}

func newChecker() *checker {
	return &checker{projects: map[string]*testbed.Project{}, files: map[string]bool{}, broken: map[string]bool{}}
}

// project opens the project of a path, once. It is nil when its file has mistakes, which are
// added to found.
func (c *checker) project(path string) (*testbed.Project, error) {
	root, err := project.RootOf(path)
	if err != nil {
		return nil, err
	}
	if known, ok := c.projects[root]; ok {
		return known, nil
	}
	p, found, err := project.Load(root)
	if err != nil {
		return nil, err
	}
	c.found.Add(found)
	if found.HasErrors() {
		c.projects[root] = nil
		return nil, nil
	}
	checked, err := testbed.Of(p)
	if err != nil {
		return nil, err
	}
	c.projects[root] = checked
	return checked, nil
}

// path checks what a command-line argument names.
func (c *checker) path(path string) error {
	info, err := stat(path, project.FlowSuffix)
	if err != nil {
		return err
	}
	if !info.IsDir() {
		return c.file(path)
	}
	if _, err := c.project(path); err != nil {
		return err
	}
	files, err := walk(path, isOurs)
	if err != nil {
		return err
	}
	if len(files) == 0 {
		return project.UserError("flows end in "+project.FlowSuffix, "there is no flow below %s", path)
	}
	for _, file := range files {
		if err := c.file(file); err != nil {
			return err
		}
	}
	return nil
}

// isOurs reports whether a file of that name is a flow, a flow test or a project file.
func isOurs(name string) bool {
	return name == project.FileName || strings.HasSuffix(name, project.FlowSuffix) || strings.HasSuffix(name, project.TestSuffix)
}

// walk lists the files below a folder by their names, in order. Hidden folders are passed over;
// projects inside are not.
func walk(root string, wants func(name string) bool) (files []string, err error) {
	err = filepath.WalkDir(root, func(path string, d os.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case path != root && project.SkipDir(d):
			return filepath.SkipDir
		case !d.IsDir() && wants(d.Name()):
			files = append(files, path)
		}
		return nil
	})
	return files, err
}

func (c *checker) file(path string) error {
	abs, err := filepath.Abs(path)
	if err != nil {
		return err
	}
	if c.files[abs] {
		return nil
	}
	c.files[abs] = true
	p, err := c.project(path)
	if err != nil || p == nil {
		return err
	}
	switch {
	case filepath.Base(path) == project.FileName:
		return nil // checked when its project was opened
	case strings.HasSuffix(path, project.TestSuffix):
		c.tests++
		_, _, found, err := c.load(path)
		c.found.Add(found)
		return err
	}
	c.flows++
	_, found, err := p.Compile(path, p.Compiler)
	c.found.Add(found)
	if err != nil || !found.HasErrors() {
		return err
	}
	parsed, err := p.Parse(path)
	if err == nil {
		c.broken[parsed.Name] = true
	}
	return err
}

// withoutRepeats leaves out the diagnostics that only say that another flow has mistakes, as those
// about its tests and its callers, if that flow's own are there.
func (c *checker) withoutRepeats() diag.List {
	kept := slices.DeleteFunc(slices.Clone(c.found), func(d diag.Diagnostic) bool {
		if d.Code != "called-flow" && d.Code != "broken-flow" {
			return false
		}
		name := string(d.Range.Source.Text[d.Range.Start:d.Range.End])
		return c.broken[strings.Trim(name, `"'`)]
	})
	if !kept.HasErrors() {
		return c.found
	}
	return kept
}

// load reads a test file with its project; the file is nil when it has mistakes.
func (c *checker) load(file string) (*suite.File, *testbed.Project, diag.List, error) {
	p, err := c.project(file)
	if err != nil || p == nil {
		return nil, nil, nil, err
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, nil, nil, err
	}
	loaded, found := suite.Load(absRelPath(file), text, p.Library)
	return loaded, p, found, nil
}

// untested compiles the flows in and below the folders of the tests, for coverage: a flow without
// a test counts too.
func (c *checker) untested(files []string) []*plan.Plan {
	var plans []*plan.Plan
	for _, root := range sortedNames(c.projects) {
		p := c.projects[root]
		if p == nil {
			continue
		}
		names, err := p.Index()
		if err != nil {
			continue
		}
		for _, name := range sortedNames(names) {
			if f := names[name]; !f.Diags.HasErrors() && beside(f.Path, files) {
				if compiled, _ := p.Compiler.Compile(f.Flow); compiled != nil {
					plans = append(plans, compiled)
				}
			}
		}
	}
	return plans
}

// beside reports whether a flow is in a folder of the tests, or below one.
func beside(flow string, tests []string) bool {
	return slices.ContainsFunc(tests, func(test string) bool {
		abs, err := filepath.Abs(test)
		return err == nil && strings.HasPrefix(flow, filepath.Dir(abs)+string(filepath.Separator))
	})
}
