package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"facteur/flow/diag"
	"facteur/project"
)

// kindOfFile is what the files with a suffix are.
func kindOfFile(suffix string) string {
	if suffix == project.TestSuffix {
		return "flow test"
	}
	return "flow"
}

// wantFile refuses a path that is no file, or does not have the suffix. The hint lists the files
// that are there, the most similar name first.
func wantFile(path, suffix string) error {
	info, err := stat(path, suffix)
	switch {
	case err != nil:
		return err
	case info.IsDir():
		return project.UserError(nearFiles(path, suffix), "%s is a folder, but a file that ends in %s is needed", path, suffix)
	case filepath.Base(path) == project.FileName:
		return project.UserError(nearFiles(path, suffix), "%s is the project file, not a %s", path, kindOfFile(suffix))
	case suffix == project.FlowSuffix && strings.HasSuffix(path, project.TestSuffix):
		return project.UserError(fmt.Sprintf("run it with: facteur test %s", path), "%s is a flow test, not a flow", path)
	case suffix == project.TestSuffix && strings.HasSuffix(path, project.FlowSuffix):
		return project.UserError(nearFiles(path, suffix), "%s is a flow, not a flow test", path)
	}
	return nil
}

// stat is os.Stat for a path of the command line. The hint lists similar files with the suffix.
func stat(path, suffix string) (fs.FileInfo, error) {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		err = project.UserError(nearFiles(path, suffix), "there is no file or folder %s", path)
	}
	return info, err
}

// wantProject refuses a path that does not exist: the project above it would not be what was meant.
func wantProject(path string) error {
	_, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return project.UserError("name the folder of a project, the one with "+project.FileName, "there is no folder %s", path)
	}
	return err
}

// maxSearched bounds the files and folders that are searched for a hint.
const maxSearched = 20_000

// nearFiles lists the files with a suffix where somebody looked for one: in that folder, in
// the project that it is in, or in the working folder. One with a name that is near comes
// first.
func nearFiles(path, suffix string) string {
	root := path
	if info, err := os.Stat(path); err != nil || !info.IsDir() {
		if root, err = project.RootOf(path); err != nil || !project.HasFile(root) {
			root = "."
		}
	}
	files := searchFiles(root, suffix)
	if len(files) == 0 {
		return fmt.Sprintf("the name of a %s ends in %s; there is no such file in %s", kindOfFile(suffix), suffix, folderName(root))
	}
	of := map[string]string{} // a file of that name
	for _, file := range slices.Backward(files) {
		of[stem(file)] = file
	}
	hint := ""
	if near := of[diag.Suggest(stem(path), sortedNames(of))]; near != "" {
		hint = fmt.Sprintf("did you mean %s? ", near)
		files = slices.DeleteFunc(files, func(file string) bool { return file == near })
	}
	const most = 16
	switch {
	case len(files) == 0:
		return strings.TrimSpace(hint)
	case hint != "":
		hint += "there are also: "
	default:
		hint = fmt.Sprintf("there are these %ss: ", kindOfFile(suffix))
	}
	if n := len(files); n > most {
		return hint + strings.Join(files[:most], ", ") + fmt.Sprintf(", … (%d in all)", n)
	}
	return hint + strings.Join(files, ", ")
}

// searchFiles lists files below a folder, as far as it gets without long searches.
func searchFiles(root, suffix string) []string {
	var files []string
	seen := 0
	_ = filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if seen++; seen > maxSearched {
			return fs.SkipAll
		}
		switch {
		case err != nil:
			return nil // a hint is no place for it
		case path != root && project.SkipDir(d):
			return fs.SkipDir
		case !d.IsDir() && strings.HasSuffix(path, suffix):
			files = append(files, absRelPath(path))
		}
		return nil
	})
	return files
}

// stem is the name of a file without its folder and its endings.
func stem(path string) string {
	name, _, _ := strings.Cut(filepath.Base(path), ".")
	return name
}

func folderName(path string) string {
	if path = absRelPath(path); path != "." {
		return path
	}
	return "this folder"
}
