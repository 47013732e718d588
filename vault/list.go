package vault

import (
	"context"
	"maps"
	"slices"
	"time"
)

// Info is what may be shown about a connection.
type Info struct {
	Name    string
	App     App
	Backend string   // "env", "hashicorp", "file", "fixed" or "project file"
	Ready   bool     // every required field is there and has its form
	Missing []string // the required fields that are not there
	Hint    string   // the first secret, masked, such as EA…2c

	CreatedAt   time.Time // zero where the backend does not say
	UpdatedAt   time.Time // zero where the backend does not say
	RefreshedAt time.Time // when the secrets were last read

	// Err is why the connection could not be read, or is not ready although
	// nothing is missing.
	Err error
}

// List describes all connections, sorted by name. A connection that cannot be
// read is listed with the reason.
func (v *Vault) List(ctx context.Context) ([]Info, error) {
	names, err := v.names()
	if err != nil {
		return nil, err
	}
	infos := make([]Info, 0, len(names))
	for _, name := range names {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		infos = append(infos, v.info(ctx, name))
	}
	return infos, nil
}

func (v *Vault) info(ctx context.Context, name string) Info {
	_, i, err := v.find(ctx, name)
	if err != nil {
		_, backend := v.backendOf(name)
		return Info{Name: name, App: v.cfg.Connections[name].App, Backend: backend, Err: err}
	}
	return i
}

// describe completes a connection that was just read from a backend, as far as it can, and describes
// it.
func (v *Vault) describe(c Connection, backend string, r record) (Connection, Info) {
	c.fillIn(v.digestKey)
	i := Info{
		Name:        c.Name,
		App:         c.App,
		Backend:     backend,
		Missing:     c.missing(),
		Hint:        c.hint(),
		CreatedAt:   r.created,
		UpdatedAt:   r.updated,
		RefreshedAt: v.now(),
		Err:         c.check(),
	}
	i.Ready = len(i.Missing) == 0 && i.Err == nil
	return c, i
}

// names returns every name that can be listed, sorted.
func (v *Vault) names() ([]string, error) {
	all := slices.AppendSeq(slices.Collect(maps.Keys(v.cfg.Fixed)), maps.Keys(v.cfg.Connections))
	var err error
	if v.file != nil {
		var stored []string
		stored, err = v.file.names()
		all = append(all, stored...)
	}
	all = append(all, v.env.names(all)...)
	slices.Sort(all)
	return slices.Compact(all), err
}

// Others returns the names of the connections in the project file, the environment and the
// encrypted file, as suggestions for a name that is none of them. It returns nil if the name
// is one of them, or if the file cannot be read. No server is asked.
func (v *Vault) Others(name string) []string {
	if _, ok := v.env.read(name); ok {
		return nil
	}
	names, err := v.names()
	if err != nil || slices.Contains(names, name) {
		return nil
	}
	return names
}

// known is names for an error message: names that cannot be read are left out.
func (v *Vault) known() []string {
	names, _ := v.names()
	return names
}
