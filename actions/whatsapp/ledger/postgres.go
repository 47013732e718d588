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

// Postgres is a ledger in a PostgreSQL database, which several daemons share. What one of
// them is told all know at once.
//
// Its tables are in a schema of their own, named facteur unless the address says otherwise
// (search_path=…). OpenPostgres makes it where it may; afterwards the right to read and
// write the tables is enough.
//
// OpenPostgres is a *KeyError where those who share it seal with another key. What else goes
// wrong is a *ServerError. After a temporary one, trying again is harmless, also
// where the first try was stored after all.
type Postgres struct {
	Options
	pool  *pgxpool.Pool
	where string // for people: never with a password
}

// ledgerID tells a ledger from other things: "FCTW".
const ledgerID = 0x46435457

const (
	connections = 16               // at the same time, unless the address says pool_max_conns
	patience    = 10 * time.Second // with the server, for one write
	tries       = 8                // at a write that others get in the way of
)

// OpenPostgres opens the ledger at an address such as
// postgres://facteur@db.internal:5432/facteur?sslmode=verify-full&sslrootcert=ca.pem, which
// may say all that libpq understands; what it does not say comes from the environment
// (PGPASSWORD, …). Tables of an older version are brought up to date.
func OpenPostgres(ctx context.Context, address string, o Options) (*Postgres, error) {
	cfg, err := pgxpool.ParseConfig(address)
	if err != nil {
		return nil, &ServerError{Op: "open it", why: "its address cannot be read", hint: "write it like postgres://facteur@db.internal:5432/facteur?sslmode=verify-full"} // the cause may show a password
	}
	if !strings.Contains(address, "pool_max_conns") {
		cfg.MaxConns = connections
	}
	if cfg.ConnConfig.ConnectTimeout == 0 {
		cfg.ConnConfig.ConnectTimeout = 5 * time.Second
	}
	parameters := cfg.ConnConfig.RuntimeParams
	for name, value := range session() {
		if parameters[name] == "" {
			parameters[name] = value
		}
	}
	cfg.AfterConnect = durably
	l := &Postgres{Options: o, where: server(cfg.ConnConfig)}
	if l.pool, err = pgxpool.NewWithConfig(ctx, cfg); err != nil {
		return nil, l.fail("open it", err)
	}
	if err := l.prepare(ctx, parameters["search_path"]); err != nil {
		l.pool.Close()
		return nil, err
	}
	return l, nil
}

// session is what a connection is set to, unless the address says otherwise.
func session() map[string]string {
	return map[string]string{
		"application_name": "facteur",
		"search_path":      "facteur",
		// What waits for others sees what they have done, see whoIs.
		"default_transaction_isolation": "read committed",
		// A daemon that stalls in the middle does not hold up the others for long.
		"idle_in_transaction_session_timeout": "10s",
		"statement_timeout":                   "10s",
		// Every statement has its indexes. It is planned once, mostly while the tables are
		// still empty: what looks cheap then must not be kept while they grow.
		"plan_cache_mode":                 "force_generic_plan",
		"enable_seqscan":                  "off",
		"enable_hashjoin":                 "off",
		"enable_mergejoin":                "off",
		"max_parallel_workers_per_gather": "0",
		"jit":                             "off",
	}
}

// server names a server and a database.
func server(cfg *pgx.ConnConfig) string {
	return net.JoinHostPort(cfg.Host, strconv.Itoa(int(cfg.Port))) + "/" + cfg.Database
}

// durably sees to it that what is committed is on the disk, whatever the default of the
// database is. What an administrator asks beyond that stays.
func durably(ctx context.Context, conn *pgx.Conn) error {
	_, err := conn.Exec(ctx, "SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'")
	return err
}

// prepare checks that the server is one for a ledger, and brings the tables up to date.
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
	return l.tryKey(ctx, conn.Conn())
}

// storeFirst makes sure that there is something to open, by whoever is the first to do so.
const storeFirst = "INSERT INTO events (seq, id, kind, at, received, body) VALUES (nextval('arrivals'), $1, $2, $3, $3, $4) ON CONFLICT (id) DO NOTHING"

// tryKey opens what was stored last. What another daemon sealed with another key would be
// missed otherwise, without anybody knowing, when a run asks what became of its message.
func (l *Postgres) tryKey(ctx context.Context, conn *pgx.Conn) error {
	if l.Open == nil {
		return nil
	}
	for {
		var last event
		err := conn.QueryRow(ctx, "SELECT id, body FROM events ORDER BY seq DESC LIMIT 1").Scan(&last.id, &last.body)
		if err == nil {
			if _, err := l.Open(last.body, identity(last.id).context()); err != nil {
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
		if _, err := conn.Exec(ctx, storeFirst, first.id, first.Kind, l.now().UnixNano(), body); err != nil {
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
	exclusive bool // what it reads of contacts nobody else may use
	again     bool // an earlier one may have been stored
}

// send sends a batch and waits until its end. Outside a transaction it is one.
func (a attempt) send(ctx context.Context, b *pgx.Batch) error { return a.SendBatch(ctx, b).Close() }

// errExclusive says that an attempt has to be an exclusive one.
var errExclusive = errors.New("contacts have to be joined")

// write lets try store something, again where others got in its way. ctx bounds the wait
// for a connection alone: what ends it later must not leave the caller in doubt.
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
		working, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience)
		err = try(working, a)
		switch {
		case err == nil || conn.Conn().IsClosed():
		case isStandby(err):
			l.pool.Reset() // new connections lead to the primary
		case conn.Conn().PgConn().TxStatus() != 'I':
			_, _ = conn.Exec(working, "ROLLBACK") // in vain where the connection is gone
		}
		cancel()
		conn.Release()
		switch {
		case err == nil:
			return nil
		case n == tries:
			return l.fail(op, err)
		case errors.Is(err, errExclusive):
			a.exclusive = true
		case (isLost(err) || isStandby(err)) && !a.again:
			a.again = true
		case !isConcurrent(err):
			return l.fail(op, err)
		}
	}
}

// read runs a query, once more where its connection turns out to be gone.
func (l *Postgres) read(ctx context.Context, query func(*pgx.Conn) error) error {
	for again := false; ; again = true {
		if err := ctx.Err(); err != nil {
			return err
		}
		conn, err := l.pool.Acquire(ctx)
		if err != nil {
			return l.fail("read it", err)
		}
		err = query(conn.Conn())
		conn.Release()
		if err == nil {
			return nil
		}
		if again || !isLost(err) {
			return l.fail("read it", err)
		}
	}
}

// maxText is the length up to which a text is stored as it is: an index takes no longer
// one.
const maxText = 1000

// clean is a text as the server can keep it. Meta's ids are such; whatever else comes
// must not stop the webhooks.
func clean(s string) string {
	s = strings.ToValidUTF8(strings.ReplaceAll(s, "\x00", "\uFFFD"), "\uFFFD")
	if len(s) > maxText {
		sum := sha256.Sum256([]byte(s))
		s = strings.ToValidUTF8(s[:maxText], "") + hex.EncodeToString(sum[:])
	}
	return s
}

// cleaned is clean for each.
func cleaned(texts []string) []string {
	var out []string
	for _, text := range texts {
		out = append(out, clean(text))
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

// query runs a statement that returns rows.
func query(ctx context.Context, conn *pgx.Conn, sql string, each func(pgx.Rows) error, args ...any) error {
	rows, err := conn.Query(ctx, sql, args...)
	if err != nil {
		return err
	}
	return every(rows, each)
}

// every hands over rows one by one.
func every(rows pgx.Rows, each func(pgx.Rows) error) error {
	defer rows.Close()
	for rows.Next() {
		if err := each(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}
