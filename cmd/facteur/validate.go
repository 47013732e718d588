package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"facteur/flow/diag"
	"facteur/flow/plan"
	"facteur/project"

	"github.com/spf13/cobra"
)

func (a *app) validateCommand() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:   "validate PATH…",
		Short: "Check flows, tests and whole projects, and run nothing",
		Long: `Check flows, tests and whole projects, and run nothing.

A path is a flow, a flow test, a project file, or a folder: then every flow and test below
it is checked, with the project that it belongs to. Every mistake is reported, with its
place; "facteur explain CODE" tells more about the code in brackets.`,
		Example: "  facteur validate .\n  facteur validate order_shipped.flow.yaml --json",
		Args:    atLeastOne("PATH"),
		RunE:    func(_ *cobra.Command, args []string) error { return a.validate(args, asJSON) },
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print the findings as JSON")
	return c
}

// A checker checks files with the projects that they belong to, each file once.
type checker struct {
	projects map[string]*checkedProject
	files    map[string]bool
	found    diag.List
	flows    int
	tests    int
}

type checkedProject struct {
	*project.Project
	compiler *plan.Compiler
	library  plan.Library
}

func newChecker() *checker {
	return &checker{projects: map[string]*checkedProject{}, files: map[string]bool{}}
}

func (a *app) validate(paths []string, asJSON bool) error {
	c := newChecker()
	for _, path := range paths {
		if err := c.path(path); err != nil {
			return err
		}
	}
	a.templatesNote(c.projects)
	c.found.Sort()
	if asJSON {
		if c.found == nil {
			c.found = diag.List{}
		}
		if err := a.printJSON(map[string]any{"flows": c.flows, "tests": c.tests, "findings": c.found}); err != nil {
			return err
		}
		if c.found.HasErrors() {
			return &exitError{code: exitWrong}
		}
		return nil
	}
	err := a.diagnose(c.found)
	fmt.Fprintf(a.stderr, "%s and %s checked: %s\n", count(c.flows, "flow"), count(c.tests, "test file"), tally(c.found))
	return err
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

func tally(list diag.List) string {
	errors := list.CountErrors()
	switch {
	case len(list) == 0:
		return "no problems"
	case errors == len(list):
		return count(errors, "error")
	case errors == 0:
		return count(len(list), "warning")
	}
	return count(errors, "error") + ", " + count(len(list)-errors, "warning")
}

// path checks what a command-line argument names.
func (c *checker) path(path string) error {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return noFile(path, project.FlowSuffix)
	}
	if err != nil {
		return wrong("", "%w", err)
	}
	if !info.IsDir() {
		return c.file(path)
	}
	if _, err := c.project(path); err != nil {
		return err
	}
	var files []string
	err = walk(path, func(file string) { files = append(files, file) })
	if err != nil {
		return wrong("", "%w", err)
	}
	if len(files) == 0 {
		return wrong("flows end in "+project.FlowSuffix, "there is no flow below %s", path)
	}
	for _, file := range files {
		if err := c.file(file); err != nil {
			return err
		}
	}
	return nil
}

// walk calls f for each of our files below a folder, in order. Hidden folders are
// passed over; projects inside are not.
func walk(root string, f func(file string)) error {
	return filepath.WalkDir(root, func(path string, d os.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir():
			if path != root && (strings.HasPrefix(d.Name(), ".") || d.Name() == "node_modules") {
				return filepath.SkipDir
			}
		case d.Name() == project.FileName, strings.HasSuffix(path, project.FlowSuffix), strings.HasSuffix(path, project.TestSuffix):
			f(path)
		}
		return nil
	})
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
		return nil // looked at with its project
	case strings.HasSuffix(path, project.TestSuffix):
		c.tests++
		_, _, found, err := c.load(path)
		c.found.Add(found)
		return err
	}
	c.flows++
	_, found, err := p.Compile(path, p.compiler)
	c.found.Add(found)
	return err
}

// project opens the project of a path, once. It is nil when its file has mistakes,
// which are then among those found.
func (c *checker) project(path string) (*checkedProject, error) {
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
	lib, err := p.Library()
	if err != nil {
		return nil, err
	}
	checked := &checkedProject{p, plan.NewCompiler(lib), lib}
	c.projects[root] = checked
	return checked, nil
}
