package ledger

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
)

// A ServerError is an error of a ledger's database server.
type ServerError struct {
	Where string // the server and the database; "" if the address could not be parsed
	Op    string // "open it", "claim a send" …

	err       error // the cause: its text may contain personal data
	why, hint string
	temporary bool
}

func (e *ServerError) Error() string {
	where := ""
	if e.Where != "" {
		where = " at " + e.Where
	}
	return fmt.Sprintf("ledger%s: cannot %s: %s; %s", where, e.Op, e.why, e.hint)
}

// Unwrap returns the cause.
func (e *ServerError) Unwrap() error { return e.err }

// Temporary reports whether trying again later may succeed without a change here: the server is
// unreachable, overloaded, starting or stopping. If the connection was lost, it is not known
// whether the write was stored.
func (e *ServerError) Temporary() bool { return e.temporary }

// A KeyError says that other daemons seal the ledger with another key.
type KeyError struct {
	Where string // the server and the database
	err   error
}

func (e *KeyError) Error() string {
	return fmt.Sprintf("ledger at %s: what other daemons have stored cannot be decrypted: %v", e.Where, e.err)
}

// fail explains an error of the server.
func (l *Postgres) fail(op string, err error) error {
	if _, ok := errors.AsType[*ServerError](err); ok {
		return err
	}
	e := &ServerError{Where: l.where, Op: op, err: err}
	if newer, ok := errors.AsType[*newerSchemaError](err); ok {
		e.why, e.hint = newer.text, "use the newer facteur that wrote it"
	} else if said, ok := errors.AsType[*pgconn.PgError](err); ok {
		e.explain(said)
	} else {
		e.explainNetwork(err)
	}
	return e
}

// explain adds the reason and a hint, by the server's error code.
func (e *ServerError) explain(said *pgconn.PgError) {
	class := said.Code[:min(2, len(said.Code))]
	e.why, e.hint = said.Message, "see the server's log"
	switch {
	case class == "28":
		e.why, e.hint = "the user or the password was refused", "check them in the address or PGPASSWORD, and the server's pg_hba.conf"
	case said.Code == "3D000":
		e.hint = "create it: createdb --encoding=UTF8 " + databaseOf(e.Where)
	case said.Code == "42501":
		e.hint = "let its user own the schema, or grant it CREATE on the database at first, then the right to read and write the tables"
	case said.Code == "42P07":
		e.hint = "name a schema of its own with search_path=… in the address"
	case class == "42" || class == "3F" || class == "23":
		e.hint = "its tables are not as facteur created them: restore them, or name another schema with search_path=… in the address"
	case said.Code == "53300":
		e.hint, e.temporary = "raise the server's max_connections, or lower pool_max_conns=… in the address", true
	case class == "53":
		e.hint, e.temporary = "give the server more", true
	case isStandby(said):
		e.hint, e.temporary = "name the primary, or all servers and target_session_attrs=read-write, in the address", true
	case said.Code == "57014":
		e.why, e.hint, e.temporary = "it does not answer in time", "find out what slows it down", true
	case class == "57" || class == "08":
		e.hint, e.temporary = "make sure that the server runs and can be reached from here", true
	case class == "40" || class == "55" || class == "25" || isConcurrent(said):
		e.hint, e.temporary = "try again", true
	}
}

// explainNetwork adds the reason and a hint of an error without an answer.
func (e *ServerError) explainNetwork(err error) {
	e.temporary = true
	e.hint = "make sure that the server runs and can be reached from here"
	name, isName := errors.AsType[*net.DNSError](err)
	var network net.Error
	switch {
	case isTLS(err):
		e.temporary = false
		e.why, e.hint = "its certificate is not trusted, or it has none", "check sslmode and sslrootcert in the address, and that the server has TLS and this name"
	case isName:
		e.why, e.hint = fmt.Sprintf("the name %s cannot be resolved", name.Name), "check the address and this machine's name servers"
	case errors.Is(err, context.Canceled):
		e.why = "it was interrupted"
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &network) && network.Timeout():
		e.why = "it does not answer in time"
	case isLost(err), errors.As(err, &network):
		e.why = "it does not answer"
	default:
		e.temporary = false
		e.why, e.hint = err.Error(), "see the server's log"
	}
}

func databaseOf(where string) string { return where[strings.LastIndex(where, "/")+1:] }

func isTLS(err error) bool {
	_, certificate := errors.AsType[*tls.CertificateVerificationError](err)
	_, authority := errors.AsType[x509.UnknownAuthorityError](err)
	_, name := errors.AsType[x509.HostnameError](err)
	_, record := errors.AsType[tls.RecordHeaderError](err)
	_, alert := errors.AsType[tls.AlertError](err)
	return certificate || authority || name || record || alert || strings.Contains(err.Error(), "refused TLS")
}

// isLost reports whether the connection ended before the answer came: the server was restarted, or
// the network cut.
func isLost(err error) bool {
	if said, ok := errors.AsType[*pgconn.PgError](err); ok {
		return said.Code == "57P01" || said.Code == "57P02" || said.Code == "57P03" || said.Code == "25P03"
	}
	if pgconn.Timeout(err) || errors.Is(err, context.Canceled) {
		return false
	}
	_, network := errors.AsType[*net.OpError](err)
	return network || pgconn.SafeToRetry(err) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed) || errors.Is(err, pgconn.ErrConnClosed)
}

// isStandby reports whether the server is read-only: it is not the primary, or no longer.
func isStandby(err error) bool {
	said, ok := errors.AsType[*pgconn.PgError](err)
	return ok && said.Code == "25006"
}

// isConcurrent reports whether another transaction was faster: the attempt is rolled back, and the
// next one sees what the other did.
func isConcurrent(err error) bool {
	said, ok := errors.AsType[*pgconn.PgError](err)
	if !ok {
		return errors.Is(err, errChanged)
	}
	switch said.Code {
	case "22012", "23503", // another transaction made a contact (see insertAliases), or merged one
		"40001", "40P01": // serialization failure, deadlock
		return true
	}
	return false
}
