package main

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"facteur/actions/whatsapp/account"
	"facteur/actions/whatsapp/templates"
	"facteur/cmd/facteur/testbed"
	"facteur/flow/diag"
	"facteur/project"
	"facteur/vault"

	"github.com/spf13/cobra"
)

func (a *app) templatesCommand() *cobra.Command {
	return group(&cobra.Command{
		Use:   "templates",
		Short: "Keep a copy of the account's templates, and generate flows that send them",
		Long: `Keep a copy of the account's templates, and generate flows that send them.

The copy is in the project's folder templates, one file per template and language. With it,
"facteur validate" compares template messages with the templates: name, language, status,
and each parameter.`,
	}, a.templatesPull(), a.templatesList(), a.templatesUse())
}

func (a *app) templatesPull() *cobra.Command {
	var connection string
	var prune bool
	c := &cobra.Command{
		Use:   "pull --connection NAME",
		Short: "Copy the templates of a connection's account into the project",
		Long: `Copy the templates of a connection's account into the project.

Each template is written to templates/NAME.LANGUAGE.json. The file of an unchanged template
is not touched. The file of a template that the account no longer has is kept; with --prune
it is deleted if it was pulled through this connection.`,
		Example: "  facteur templates pull --connection whatsapp_shop",
		Args:    none,
		RunE: func(c *cobra.Command, _ []string) error {
			return a.withVault(func(p *project.Project, v *vault.Vault) error {
				return a.pullTemplates(c.Context(), p, v, connection, prune)
			})
		},
	}
	c.Flags().StringVar(&connection, "connection", "", "the `name` of the connection")
	c.Flags().BoolVar(&prune, "prune", false, "delete the files of templates that no longer exist")
	return c
}

func (a *app) pullTemplates(ctx context.Context, p *project.Project, v *vault.Vault, name string, prune bool) error {
	if name == "" {
		if name = p.OnlyConnection(); name == "" {
			return project.UserError(`see "facteur vault list"`, "name the connection: --connection NAME")
		}
	}
	connection, err := v.Resolve(ctx, name)
	if err != nil {
		return err
	}
	pulled, err := account.PullTemplates(ctx, nil, connection)
	if err != nil {
		if bad, ok := errors.AsType[*account.PullError](err); ok {
			return project.SystemError(errors.New(bad.Problem), bad.Hint)
		}
		return project.SystemError(err, "")
	}
	return a.writeTemplates(p, name, pulled, prune)
}

// fileName is what a file of a template may be called: names come from outside.
var fileName = regexp.MustCompile(`^[a-z0-9_]+\.[A-Za-z_]+\.json$`)

// writeTemplates writes the templates that have changed, and prints what it did with each file.
func (a *app) writeTemplates(p *project.Project, connection string, pulled *templates.Set, prune bool) error {
	dir := p.Abs(project.TemplatesFolder)
	before, err := p.ReadTemplates()
	if err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return project.SystemError(err, "")
	}
	var fresh, changed, same, gone int
	there := map[string]bool{}
	for _, t := range pulled.All() {
		name := t.FileName()
		if !fileName.MatchString(name) {
			a.warn("the template %q (%q) is left out: its name is not valid", t.Name, t.Language)
			continue
		}
		there[name] = true
		text, err := t.Encode()
		if err != nil {
			return err
		}
		old, err := os.ReadFile(filepath.Join(dir, name))
		switch {
		case err != nil:
			fresh++
		case bytes.Equal(old, text):
			same++
			continue
		default:
			changed++
		}
		if err := replaceFile(filepath.Join(dir, name), text); err != nil {
			return project.SystemError(err, "")
		}
	}
	for _, t := range before {
		if there[t.FileName()] || t.Connection != connection {
			continue
		}
		gone++
		if !prune {
			a.warn("the account no longer has %s (%s); --prune deletes its file", t.Name, t.Language)
		} else if err := os.Remove(filepath.Join(dir, t.FileName())); err != nil {
			return project.SystemError(err, "")
		}
	}
	fmt.Fprintf(a.stderr, "%s in %s: %d new, %d changed, %d unchanged, %d gone\n", count(len(there), "template"), project.RelPath(dir), fresh, changed, same, gone)
	return nil
}

// replaceFile replaces a file atomically.
func replaceFile(path string, text []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".template-*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) // fails once it was renamed
	_, err = f.Write(text)
	if err = errors.Join(err, f.Chmod(0o644), f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}

// templatesNote prints, once, that template messages could not be checked.
func (a *app) templatesNote(projects map[string]*testbed.Project) {
	for _, p := range projects {
		if p != nil && p.Templates != nil && p.Templates.Missing() {
			a.note("template messages were checked only for their form; \"facteur templates pull\" lets them be compared with the account's templates")
			return
		}
	}
}

// projectTemplates reads the templates of the project of the working folder.
func (a *app) projectTemplates() (*project.Project, *templates.Set, error) {
	p, err := a.open(".")
	if err != nil {
		return nil, nil, err
	}
	list, err := p.ReadTemplates()
	if err != nil {
		return nil, nil, err
	}
	if len(list) == 0 {
		return nil, nil, project.UserError("copy the account's templates with facteur templates pull --connection NAME", "there are no templates in %s", project.RelPath(p.Abs(project.TemplatesFolder)))
	}
	templates, err := templates.NewSet(list)
	if err != nil {
		return nil, nil, project.UserError("delete one of the files", "%s: %w", project.RelPath(p.Abs(project.TemplatesFolder)), err)
	}
	return p, templates, nil
}

func (a *app) templatesList() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:   "list",
		Short: "List the templates of the project",
		Args:  none,
		RunE: func(*cobra.Command, []string) error {
			_, templates, err := a.projectTemplates()
			if err != nil {
				return err
			}
			if asJSON {
				return a.printJSON(templates.All())
			}
			w := a.table()
			fmt.Fprintln(w, "NAME\tLANGUAGE\tSTATUS\tCATEGORY\tTAKES")
			for _, t := range templates.All() {
				_, inputs := t.Use()
				var names []string
				for _, in := range inputs {
					names = append(names, in.Name)
				}
				fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", t.Name, t.Language, t.Status, t.Category, strings.Join(names, ", "))
			}
			return w.Flush()
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print the templates as JSON")
	return c
}

func (a *app) templatesUse() *cobra.Command {
	var language, connection, out string
	c := &cobra.Command{
		Use:   "use NAME",
		Short: "Generate a flow that sends a template, and its test",
		Long: `Generate a flow that sends a template, and its test.

Both are printed, or written to the folder given by --out. The flow has one input for each
parameter of the template; the test sends the template's own examples.`,
		Example: "  facteur templates use order_shipped --language fr --out flows",
		Args:    exactly("NAME"),
		RunE: func(_ *cobra.Command, args []string) error {
			p, templates, err := a.projectTemplates()
			if err != nil {
				return err
			}
			t, err := selectTemplate(templates, args[0], language)
			if err != nil {
				return err
			}
			if connection == "" {
				connection = cmp.Or(t.Connection, p.OnlyConnection(), "whatsapp")
			}
			return a.useTemplate(t, connection, out)
		},
	}
	c.Flags().StringVar(&language, "language", "", "the `language`, if the template has several")
	c.Flags().StringVar(&connection, "connection", "", "the `name` of the connection to send with")
	c.Flags().StringVar(&out, "out", "", "write the files to this `folder` instead of printing them")
	return c
}

func selectTemplate(templates *templates.Set, name, language string) (*templates.Definition, error) {
	all := templates.Named(name)
	if len(all) == 0 {
		var names []string
		for _, t := range templates.All() {
			names = append(names, t.Name)
		}
		return nil, project.UserError(diag.DidYouMean(name, "templates", slices.Compact(names)), "there is no template %q in %s", name, project.TemplatesFolder)
	}
	var known []string
	for _, t := range all {
		if t.Language == language || language == "" && len(all) == 1 {
			return t, nil
		}
		known = append(known, t.Language)
	}
	if language == "" {
		return nil, project.UserError("choose one: --language "+known[0], "the template %s exists in several languages: %s", name, strings.Join(known, ", "))
	}
	return nil, project.UserError("it exists in "+strings.Join(known, ", "), "the template %s does not exist in %s", name, language)
}
