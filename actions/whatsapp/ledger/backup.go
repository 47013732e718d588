package ledger

import "context"

// Backup copies the ledger as of now to a new file, while it may be written. The copy is durable
// when it returns. An existing file is never overwritten.
func (l *SQLite) Backup(ctx context.Context, path string) error { return l.file.Backup(ctx, path) }
