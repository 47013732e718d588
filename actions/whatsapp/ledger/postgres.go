package ledger

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net"
	"strconv"
	"strings"
	"time"

	"facteur/actions/whatsapp/inbound"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// Postgres is a ledger in a PostgreSQL database, which several daemons share: what one of them
// stores, all see at once.
//
// Its tables are in a schema of their own, named facteur unless the address says otherwise
// (search_path=…). OpenPostgres creates it if it has the right to; afterwards the right to read
// and write the tables is enough.
//
// OpenPostgres returns a *KeyError if other daemons seal with another key. Other errors are
// *ServerError. After a temporary one it is safe to try again, even if the first attempt was
// stored after all.
type Postgres struct {
	Options
	pool  *pgxpool.Pool
	where string // for people: never with a password
}

// ledgerID identifies a ledger, as in its SQLite file: "FCTW". It names an advisory lock.
const ledgerID = 0x46435457

const (
	defaultMaxConns = 16               // unless the address has pool_max_conns
	writeTimeout    = 10 * time.Second // of one attempt
	maxAttempts     = 8                // of a write that conflicts with others
)

// OpenPostgres opens the ledger at an address such as
// postgres://facteur@db.internal:5432/facteur?sslmode=verify-full&sslrootcert=ca.pem, with any
// parameters of libpq; missing ones come from the environment (PGPASSWORD, …). Tables of an older
// version are migrated.
func OpenPostgres(ctx context.Context, address string, o Options) (*Postgres, error) {
	cfg, err := pgxpool.ParseConfig(address)
	if err != nil {
		return nil, &ServerError{Op: "open it", why: "its address is not valid", hint: "write it as postgres://facteur@db.internal:5432/facteur?sslmode=verify-full"} // the cause may show a password
	}
	if !strings.Contains(address, "pool_max_conns") {
		cfg.MaxConns = defaultMaxConns
	}
	if cfg.ConnConfig.ConnectTimeout == 0 {
		cfg.ConnConfig.ConnectTimeout = 5 * time.Second
	}
	parameters := cfg.ConnConfig.RuntimeParams
	for name, value := range sessionSettings() {
		if parameters[name] == "" {
			parameters[name] = value
		}
	}
	cfg.AfterConnect = requireDurability
	l := &Postgres{Options: o, where: serverName(cfg.ConnConfig)}
	if l.pool, err = pgxpool.NewWithConfig(ctx, cfg); err != nil {
		return nil, l.fail("open it", err)
	}
	if err := l.prepare(ctx, parameters["search_path"]); err != nil {
		l.pool.Close()
		return nil, err
	}
	return l, nil
}

// sessionSettings are the settings of a connection, unless the address has others.
func sessionSettings() map[string]string {
	return map[string]string{
		"application_name": "facteur",
		"search_path":      "facteur",
		// A statement that has waited for a lock sees what the other transaction did, see lockContacts.
		"default_transaction_isolation": "read committed",
		// A daemon that stalls inside a transaction does not block the others for long.
		"idle_in_transaction_session_timeout": "10s",
		"statement_timeout":                   "10s",
		// All statements have indexes. They are planned once, mostly while the tables are still
		// empty: a plan that is cheap then must not be kept while they grow.
		"plan_cache_mode":                 "force_generic_plan",
		"enable_seqscan":                  "off",
		"enable_hashjoin":                 "off",
		"enable_mergejoin":                "off",
		"max_parallel_workers_per_gather": "0",
		"jit":                             "off",
	}
}

// serverName names a server and a database.
func serverName(cfg *pgx.ConnConfig) string {
	return net.JoinHostPort(cfg.Host, strconv.Itoa(int(cfg.Port))) + "/" + cfg.Database
}

// requireDurability makes commits wait for the disk, whatever the database's default. A stricter
// setting of the administrator stays.
func requireDurability(ctx context.Context, conn *pgx.Conn) error {
	_, err := conn.Exec(ctx, "SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'")
	return err
}

// prepare checks the database, and migrates the tables.
func (l *Postgres) prepare(ctx context.Context, schema string) error {
	conn, err := l.pool.Acquire(ctx)
	if err != nil {
		return l.fail("open it", err)
	}
	defer conn.Release()
	encoding := ""
	if err := conn.QueryRow(ctx, "SHOW server_encoding").Scan(&encoding); err != nil {
		return l.fail("open it", err)
	}
	switch {
	case encoding != "UTF8":
		return &ServerError{Where: l.where, Op: "open it", why: "the database does not keep text as UTF8", hint: "create one with ENCODING 'UTF8'"}
	case strings.ContainsAny(schema, `,"`):
		return &ServerError{Where: l.where, Op: "open it", why: "search_path names more than one schema", hint: "name the one for the ledger's tables"}
	}
	if err := migrate(ctx, conn.Conn(), schema); err != nil {
		return l.fail("bring its tables up to date", err)
	}
	return l.checkKey(ctx, conn.Conn())
}

// insertFirstEvent stores an event of no webhook in an empty ledger, for checkKey to open.
const insertFirstEvent = "INSERT INTO events (seq, id, kind, at, received, body) VALUES (nextval('arrivals'), $1, $2, $3, $3, $4) ON CONFLICT (id) DO NOTHING"

// checkKey opens the last event, to check that all daemons seal with the same key. Otherwise the
// receipts that another daemon stored would silently be missing.
func (l *Postgres) checkKey(ctx context.Context, conn *pgx.Conn) error {
	if l.Open == nil {
		return nil
	}
	for {
		var last eventRow
		err := conn.QueryRow(ctx, "SELECT id, body FROM events ORDER BY seq DESC LIMIT 1").Scan(&last.id, &last.body)
		if err == nil {
			if _, err := l.Open(last.body, eventID(last.id).context()); err != nil {
				return &KeyError{l.where, err}
			}
			return nil
		}
		if !errors.Is(err, pgx.ErrNoRows) {
			return l.fail("open it", err)
		}
		first := fact{Notification: inbound.Notification{Kind: "opened"}} // of no webhook
		body, err := l.seal(first)
		if err != nil {
			return err
		}
		if _, err := conn.Exec(ctx, insertFirstEvent, first.id, first.Kind, l.now().UnixNano(), body); err != nil {
			return l.fail("open it", err)
		}
	}
}

// Close implements Ledger.
func (l *Postgres) Close() error {
	l.pool.Close()
	return nil
}

// An attempt is one try at a write.
type attempt struct {
	*pgx.Conn
	exclusive bool // it locks the contacts that it reads exclusively
	retried   bool // an earlier attempt may have been stored
}

// send runs a batch. Outside a transaction, the batch is one.
func (a attempt) send(ctx context.Context, b *pgx.Batch) error { return a.SendBatch(ctx, b).Close() }

// A change is a transaction that may concern contacts.
type change struct {
	now   time.Time
	ids   []string // of the contacts; none: it takes one round trip to the server, otherwise two
	begin func(*pgx.Batch)
	facts func() []contactFact // about the contacts, once begin's statements have run
	end   func(*pgx.Batch)     // nil: nothing more
}

// store makes a change.
func (a attempt) store(ctx context.Context, c change) error {
	b := &pgx.Batch{}
	if len(c.ids) > 0 {
		b.Queue("BEGIN")
	}
	c.begin(b)
	if len(c.ids) > 0 {
		contacts := contactsByID{}
		contacts.queueLookup(b, c.ids, a.exclusive)
		if err := a.send(ctx, b); err != nil {
			return err
		}
		b = &pgx.Batch{}
		if err := contacts.queueChanges(b, c.facts(), c.now, a.exclusive); err != nil {
			return err
		}
	}
	if c.end != nil {
		c.end(b)
	}
	if len(c.ids) > 0 {
		b.Queue("COMMIT")
	}
	return a.send(ctx, b)
}

// errExclusive says that an attempt has to be an exclusive one.
var errExclusive = errors.New("contacts have to be joined")

// write calls try, again if it conflicts with other transactions. ctx only bounds the wait for a
// connection: if it could end the write itself, the caller would not know whether it was stored.
func (l *Postgres) write(ctx context.Context, op string, try func(context.Context, attempt) error) error {
	var a attempt
	for n := 1; ; n++ {
		if err := ctx.Err(); err != nil {
			return err
		}
		conn, err := l.pool.Acquire(ctx)
		if err != nil {
			return l.fail(op, err)
		}
		a.Conn = conn.Conn()
		working, cancel := context.WithTimeout(context.WithoutCancel(ctx), writeTimeout)
		err = try(working, a)
		switch {
		case err == nil || conn.Conn().IsClosed():
		case isStandby(err):
			l.pool.Reset() // new connections find the primary
		case conn.Conn().PgConn().TxStatus() != 'I':
			_, _ = conn.Exec(working, "ROLLBACK") // an error means that the connection is gone
		}
		cancel()
		conn.Release()
		switch {
		case err == nil:
			return nil
		case n == maxAttempts:
			return l.fail(op, err)
		case errors.Is(err, errExclusive):
			a.exclusive = true
		case (isLost(err) || isStandby(err)) && !a.retried:
			a.retried = true
		case !isConcurrent(err):
			return l.fail(op, err)
		}
	}
}

// maxText bounds a stored text, in bytes: an index takes no longer ones.
const maxText = 1000

// sanitize returns a text that the server can store: valid UTF-8 without NUL, and not too long.
// Meta's ids are so anyway; anything else must not make webhooks fail.
func sanitize(s string) string {
	s = strings.ToValidUTF8(strings.ReplaceAll(s, "\x00", "\uFFFD"), "\uFFFD")
	if len(s) > maxText {
		sum := sha256.Sum256([]byte(s))
		s = strings.ToValidUTF8(s[:maxText], "") + hex.EncodeToString(sum[:])
	}
	return s
}

// sanitizeAll sanitizes each of texts.
func sanitizeAll(texts []string) []string {
	var out []string
	for _, text := range texts {
		out = append(out, sanitize(text))
	}
	return out
}

// timeOf reads a time; 0 is none.
func timeOf(nanoseconds int64) time.Time {
	if nanoseconds == 0 {
		return time.Time{}
	}
	return time.Unix(0, nanoseconds).UTC()
}

// forEach returns a function that scans each row, and then calls each.
func forEach(scans []any, each func()) func(pgx.Rows) error {
	return func(rows pgx.Rows) error {
		_, err := pgx.ForEachRow(rows, scans, func() error { each(); return nil })
		return err
	}
}
