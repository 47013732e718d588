package main

import (
	"archive/tar"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"facteur/actions/whatsapp/ledger"
	"facteur/flow/journal"
	"facteur/privatefile"
	"facteur/project"

	"github.com/spf13/cobra"
)

func (a *app) backupCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "backup FILE",
		Short: "Back up the data folder to a file, even while a daemon runs",
		Long: `Back up the data folder to a new tar archive: the journal, the ledger, the encrypted
connections and the hashes of API keys. A daemon keeps running meanwhile.

A ledger in PostgreSQL is not included: use PostgreSQL's own tools. With the engine temporal
there is nothing to back up here.

The encryption key (vault.key, or key_file) is not included, and without it the archive cannot
be read. Keep a copy of the key elsewhere.

To restore, stop the daemon, unpack the archive into an empty data folder, put the key back,
and start with "facteur serve --restored". Runs that were active at the backup may have
continued since then and sent messages, so they are held until you check and release them.`,
		Example: "  facteur backup /backups/facteur-$(date +%F).tar\n  mkdir data && tar -xf facteur.tar -C data && cp safe/vault.key data/ && facteur serve --restored",
		Args:    exactly("FILE"),
		RunE:    func(c *cobra.Command, args []string) error { return a.backup(c.Context(), args[0]) },
	}
}

func (a *app) backup(ctx context.Context, file string) error {
	p, err := a.open(".")
	if err != nil {
		return err
	}
	if p.Server.Engine == project.EngineTemporal {
		return project.SystemError(errors.New("with the engine temporal there is nothing to back up here: the runs are in the Temporal server, the ledger is in PostgreSQL"),
			"back those up with their own tools, and copy the key file, vault.age and keys.json, which hold the connections and the API keys")
	}
	ctx, _, stop := a.interrupts(ctx, func(int) {})
	defer stop()
	dir := p.Abs(p.Data)
	names := project.Journals(dir)
	if len(names) == 0 {
		return project.SystemError(fmt.Errorf("there is nothing to back up in %s", project.RelPath(dir)), "see data: in "+project.FileName)
	}
	if _, err := os.Lstat(file); err == nil {
		return project.UserError("choose another name", "%s already exists, and a backup never overwrites a file", file)
	}
	work, err := os.MkdirTemp(filepath.Dir(file), ".facteur-backup-*")
	if err != nil {
		return project.SystemError(fmt.Errorf("the backup: %w", err), "")
	}
	defer os.RemoveAll(work)
	if err := copyStores(ctx, dir, work, names); err != nil {
		return project.SystemError(err, cmp.Or(olderHint(err), "there is no backup"))
	}
	size, err := pack(work, file)
	if err != nil {
		return project.SystemError(fmt.Errorf("the backup: %w", err), "there is no backup")
	}
	fmt.Fprintf(a.stderr, "%s: %s of %s; the key is not included: keep a copy of it elsewhere\n", file, bytesText(size), project.RelPath(dir))
	return nil
}

// copyStores copies the databases, each as it is at one moment, and then the files beside
// them.
func copyStores(ctx context.Context, from, to string, names []string) error {
	for _, name := range names {
		j, err := journal.OpenReadOnly(filepath.Join(from, name))
		if err != nil {
			return err
		}
		if err := errors.Join(j.Backup(ctx, filepath.Join(to, name)), j.Close()); err != nil {
			return err
		}
	}
	if _, err := os.Stat(filepath.Join(from, project.LedgerName)); err == nil {
		l, err := ledger.OpenSQLite(filepath.Join(from, project.LedgerName), ledger.Options{})
		if err != nil {
			return err
		}
		if err := errors.Join(l.Backup(ctx, filepath.Join(to, project.LedgerName)), l.Close()); err != nil {
			return err
		}
	}
	for _, name := range []string{project.KeysName, "vault.age"} {
		text, err := os.ReadFile(filepath.Join(from, name))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err == nil {
			err = os.WriteFile(filepath.Join(to, name), text, 0o600)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// pack writes the files of a folder to an archive, which has its name only once it is
// whole and on the disk.
func pack(dir, file string) (size int64, err error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return 0, err
	}
	part, err := os.OpenFile(filepath.Join(dir, "archive.part"), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return 0, err
	}
	defer part.Close()
	w := tar.NewWriter(part)
	for _, e := range entries {
		if err := packOne(w, filepath.Join(dir, e.Name())); err != nil {
			return 0, err
		}
	}
	if err := errors.Join(w.Close(), part.Sync()); err != nil {
		return 0, err
	}
	info, err := part.Stat()
	if err != nil {
		return 0, err
	}
	return info.Size(), privatefile.Place(part.Name(), file)
}

func packOne(w *tar.Writer, path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if err := w.WriteHeader(&tar.Header{Name: filepath.Base(path), Mode: 0o600, Size: info.Size(), ModTime: info.ModTime()}); err != nil {
		return err
	}
	_, err = io.Copy(w, f)
	return err
}

func bytesText(n int64) string {
	switch {
	case n >= 1<<30:
		return fmt.Sprintf("%.1f GiB", float64(n)/(1<<30))
	case n >= 1<<20:
		return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20))
	}
	return fmt.Sprintf("%d KiB", (n+1023)>>10)
}
