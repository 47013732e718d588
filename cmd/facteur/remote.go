package main

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"net/url"
	"os"

	"facteur/cmd/facteur/daemon"
	"facteur/project"
	"facteur/server"

	"github.com/spf13/cobra"
)

// remoteFlags are a daemon's address and the API key for it.
type remoteFlags struct {
	server  string
	keyFile string
}

func (f *remoteFlags) add(c *cobra.Command) {
	c.PersistentFlags().StringVar(&f.server, "server", "", "the `URL` of the daemon (or FACTEUR_SERVER); default: the daemon of this project's data folder")
	c.PersistentFlags().StringVar(&f.keyFile, "key-file", "", "a `file` with an API key (or FACTEUR_API_KEY, the key itself)")
}

// address is that of a daemon that was named, "" where none was.
func (f remoteFlags) address() string { return cmp.Or(f.server, os.Getenv("FACTEUR_SERVER")) }

// remote returns the client of the daemon that the flags name, else of the one that runs on the
// project; nil if there is none.
func (a *app) remote(f remoteFlags) (*server.Client, error) {
	address := f.address()
	if address == "" {
		p, err := a.open(".")
		if err != nil {
			return nil, err
		}
		if plate, ok := daemon.Find(p.Abs(p.Data)); ok {
			return plate.Client(), nil
		}
		return nil, nil
	}
	if u, err := url.Parse(address); err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, project.UserError("write it as http://127.0.0.1:8080", "%q is not the address of a daemon", address)
	}
	key, err := f.key()
	return &server.Client{URL: address, Key: key}, err
}

// noProject is the hint where there is no project file.
const noProject = "there is no " + project.FileName + " in this folder or above: go to the project's folder"

// noteFolder prints which data folder is used when there is no project file.
func (a *app) noteFolder(p *project.Project) {
	if !project.HasFile(p.Root) {
		a.note("there is no %s in this folder or above, so it is stored for this folder only, in %s", project.FileName, project.RelPath(p.Abs(p.Data)))
	}
}

// daemon is remote for what only a daemon can do.
func (a *app) daemon(f remoteFlags, what string) (*server.Client, error) {
	c, err := a.remote(f)
	if err == nil && c == nil {
		hint := `start it with "facteur serve", or name another with --server URL`
		if p, err := a.open("."); err == nil && !project.HasFile(p.Root) {
			hint = noProject + ", or name a daemon with --server URL"
		}
		err = project.SystemError(fmt.Errorf("no daemon is running for this project, and only a daemon can %s", what), hint)
	}
	return c, err
}

func (f remoteFlags) key() (string, error) {
	if f.keyFile == "" {
		return os.Getenv("FACTEUR_API_KEY"), nil
	}
	text, err := os.ReadFile(f.keyFile)
	if err != nil {
		return "", project.UserError("", "the API key: %w", err)
	}
	text = bytes.TrimSpace(text)
	if len(text) == 0 || bytes.ContainsAny(text, " \n\t") {
		return "", project.UserError("give the key that facteur keys create printed", "%s does not hold an API key", f.keyFile)
	}
	return string(text), nil
}

// withHint adds a hint to a daemon's answer that there is no such thing.
func withHint(err error, hint string) error {
	if p, ok := errors.AsType[*server.Problem](err); ok && p.Kind() == server.NotFound {
		p.Hint = cmp.Or(p.Hint, hint)
	}
	return err
}
