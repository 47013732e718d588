package project

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"

	"facteur/actions"
	"facteur/actions/httpcall"
	"facteur/actions/whatsapp"
	"facteur/actions/whatsapp/templates"
)

// TemplatesFolder is where a project keeps its copy of the account's templates.
const TemplatesFolder = "templates"

// ReadTemplates reads the project's copy of the templates; there are none if it has no such
// folder.
func (p *Project) ReadTemplates() ([]*templates.Definition, error) {
	dir := p.Abs(TemplatesFolder)
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, SystemError(err, "")
	}
	var found []*templates.Definition
	for _, e := range entries {
		if e.IsDir() || filepath.Ext(e.Name()) != ".json" || strings.HasPrefix(e.Name(), ".") {
			continue
		}
		path := filepath.Join(dir, e.Name())
		text, err := os.ReadFile(path)
		if err != nil {
			return nil, SystemError(err, "")
		}
		t, err := templates.Read(text)
		if err != nil {
			return nil, UserError("write it again with: facteur templates pull", "%s: %w", RelPath(path), err)
		}
		found = append(found, t)
	}
	return found, nil
}

// A TemplateCopy is a project's copy of the templates, read when it is first asked for.
type TemplateCopy struct {
	read func() (*templates.Set, error)
	used atomic.Bool
}

func (p *Project) newTemplateCopy() *TemplateCopy {
	return &TemplateCopy{read: sync.OnceValues(func() (*templates.Set, error) {
		found, err := p.ReadTemplates()
		if err != nil || len(found) == 0 {
			return nil, err
		}
		return templates.NewSet(found)
	})}
}

// Templates returns the templates, nil if there are none. It reads them once.
func (c *TemplateCopy) Templates() (*templates.Set, error) {
	c.used.Store(true)
	return c.read()
}

// Missing reports whether templates were needed, and there are none.
func (c *TemplateCopy) Missing() bool {
	if !c.used.Load() {
		return false
	}
	found, err := c.read()
	return found == nil && err == nil
}

// Descriptions returns the catalogue for checking the project's flows, with its templates.
func (p *Project) Descriptions() (*actions.Set, error) {
	p.Templates = p.newTemplateCopy()
	return NewCatalog(nil, nil, httpcall.Policy{}, whatsapp.Options{Templates: p.Templates.Templates, Rate: p.Rate, Recipients: p.Recipients})
}
