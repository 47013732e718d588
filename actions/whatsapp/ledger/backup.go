package ledger

import "context"

// Backup copies the ledger as it is now to a new file, while others write it. It returns
// once the copy would survive a crash. A file of that name is never overwritten.
func (l *SQLite) Backup(ctx context.Context, path string) error { return l.file.Backup(ctx, path) }
