package sqlitefile

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"facteur/privatefile"

	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"
)

// Backup copies everything written so far to a new file, while writes go on. It returns once the
// copy is durable. It never overwrites a file.
func (f *File) Backup(ctx context.Context, path string) error {
	err := f.writer.submit(ctx, write{}, true)
	if _, failed := errors.AsType[*DiskError](err); err != nil && !failed { // a file whose writing has failed can still be read
		return err
	}
	return f.reader.Backup(ctx, path)
}

// Backup copies the current state of the file to a new one, while others write. It returns once
// the copy is durable. It never overwrites a file.
func (r *Reader) Backup(ctx context.Context, path string) error {
	path, err := filepath.Abs(path)
	if err == nil {
		err = r.backup(ctx, path)
	}
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return ctx.Err()
	case isDamage(err):
		return &DiskError{r.name, r.path, "read", err}
	}
	return &DiskError{r.name, path, "write", err}
}

// backup writes a temporary file in the same folder, and renames it once it is complete.
func (r *Reader) backup(ctx context.Context, path string) (err error) {
	if _, err := os.Lstat(path); err == nil {
		return errExists
	}
	if _, err := os.Stat(filepath.Dir(path)); errors.Is(err, fs.ErrNotExist) {
		return errNoFolder
	}
	part, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*.part")
	if err != nil {
		return err
	}
	defer os.Remove(part.Name())
	defer part.Close()
	if err := r.copyInto(ctx, part.Name()); err != nil {
		return err
	}
	if err := part.Sync(); err != nil {
		return err
	}
	err = privatefile.Place(part.Name(), path)
	if errors.Is(err, fs.ErrExist) {
		return errExists
	}
	return err
}

func (r *Reader) copyInto(ctx context.Context, path string) error {
	conn, err := openConn(r.path, sqlite.OpenReadOnly)
	if err != nil {
		return err
	}
	conn.SetInterrupt(ctx.Done())
	err = sqlitex.ExecuteTransient(conn, "VACUUM INTO ?", &sqlitex.ExecOptions{Args: []any{path}})
	return errors.Join(err, conn.Close())
}

func isDamage(err error) bool {
	code := sqlite.ErrCode(err).ToPrimary()
	return code == sqlite.ResultCorrupt || code == sqlite.ResultNotADB
}
