package main

import (
	"embed"
	"errors"
	"facteur/project"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"
)

// The project that init writes.
//
//go:embed template
var template embed.FS

func (a *app) initCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "init DIR",
		Short: "Create a project: a flow, its test, the project file",
		Long:  "Create a project: a flow, its test, the project file. Existing files are not overwritten.",
		Args:  exactly("DIR"),
		RunE:  func(_ *cobra.Command, args []string) error { return a.initProject(args[0]) },
	}
}

func (a *app) initProject(dir string) error {
	files := map[string][]byte{}
	err := fs.WalkDir(template, "template", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		rel, err := filepath.Rel("template", name)
		if err != nil {
			return err
		}
		if rel == "gitignore" {
			rel = ".gitignore"
		}
		files[filepath.Join(dir, rel)], err = template.ReadFile(name)
		return err
	})
	if err != nil {
		return err
	}
	if err := a.writeNew(files); err != nil {
		return err
	}
	fmt.Fprintf(a.stderr, "\nnext:\n  facteur test %s\n  facteur dev %s      (try it in the browser; nothing is sent)\n  facteur vault set whatsapp_shop     (in %s)\n", dir, dir, dir)
	return nil
}

// writeNew writes files, with their folders, if none of them is there yet.
func (a *app) writeNew(files map[string][]byte) error {
	for _, path := range sortedNames(files) {
		switch _, err := os.Lstat(path); {
		case err == nil:
			return project.UserError("choose another folder", "%s already exists; nothing was written", path)
		case !errors.Is(err, fs.ErrNotExist):
			return project.SystemError(err, "nothing was written")
		}
	}
	for _, path := range sortedNames(files) {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return project.SystemError(err, "")
		}
		if err := os.WriteFile(path, files[path], 0o644); err != nil {
			return project.SystemError(err, "")
		}
		fmt.Fprintln(a.stderr, "wrote", path)
	}
	return nil
}
