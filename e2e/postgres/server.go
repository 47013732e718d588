// Package postgres runs a PostgreSQL server from the machine's installation, on loopback, for
// the duration of a test: see Start.
package postgres

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"facteur/e2e"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
)

// A Server is a PostgreSQL server with a data folder of its own; see Log for its output.
type Server struct {
	Address string // 127.0.0.1:…
	Version string // 15.18 …
	CACert  string // a PEM file that vouches for its certificate, for the name localhost

	bin, dir  string
	account   *syscall.Credential // nil: that of this process
	process   *exec.Cmd
	log       *os.File
	databases atomic.Int32
}

const password = "of-the-test"

// Start starts a server that ends with the test, with fsync on as in production.
func Start(t testing.TB) *Server {
	t.Helper()
	s := &Server{bin: installation(t)}
	dir, err := os.MkdirTemp("", "facteur-postgres-") // t.TempDir is for this account alone
	require.NoError(t, err)
	t.Cleanup(func() { os.RemoveAll(dir) })
	s.dir = filepath.Join(dir, "data")
	s.account = account(t)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "password"), []byte(password), 0o600))
	s.CACert = s.certify(t, dir)
	require.NoError(t, s.chown(dir))
	s.run(t, "initdb", "-D", s.dir, "-U", "postgres", "-A", "scram-sha-256", "--pwfile", filepath.Join(dir, "password"),
		"-E", "UTF8", "--locale=C.UTF-8", "--no-sync")

	s.Address = e2e.FreeAddress(t)
	s.log, err = os.OpenFile(filepath.Join(dir, "log"), os.O_CREATE|os.O_APPEND|os.O_RDWR, 0o644)
	require.NoError(t, err)
	t.Cleanup(func() {
		s.Crash(t) // nobody needs what would be synced
		if t.Failed() {
			said := s.Log(t)
			t.Logf("the server's log:\n%s", said[max(0, len(said)-4000):])
		}
		s.log.Close()
	})
	s.Restart(t)
	s.Exec(t, s.URL("postgres"), "SELECT 1")
	return s
}

// installation returns the folder with the programs of the newest version.
func installation(t testing.TB) string {
	t.Helper()
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	slices.SortFunc(found, func(a, b string) int { return versionOf(a) - versionOf(b) })
	if path, err := exec.LookPath("initdb"); err == nil && len(found) == 0 {
		found = append(found, path)
	}
	if len(found) == 0 {
		e2e.SkipMissing(t, "there is no PostgreSQL here: apt-get install postgresql-15, or put the folder of initdb and postgres into PATH")
	}
	return filepath.Dir(found[len(found)-1])
}

func versionOf(initdb string) int {
	n, _ := strconv.Atoi(filepath.Base(filepath.Dir(filepath.Dir(initdb))))
	return n
}

// account returns the credentials of a user other than root, who may not run the server.
func account(t testing.TB) *syscall.Credential {
	t.Helper()
	if os.Getuid() != 0 {
		return nil
	}
	for _, name := range []string{"postgres", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, _ := strconv.Atoi(u.Uid)
		gid, _ := strconv.Atoi(u.Gid)
		return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid), NoSetGroups: true}
	}
	e2e.SkipMissing(t, "root may not run PostgreSQL, and there is neither a user postgres nor nobody: adduser --system postgres")
	return nil
}

// chown gives a folder to the account.
func (s *Server) chown(dir string) error {
	if s.account == nil {
		return nil
	}
	return filepath.WalkDir(dir, func(path string, _ os.DirEntry, err error) error {
		if err == nil {
			err = os.Chown(path, int(s.account.Uid), int(s.account.Gid))
		}
		return err
	})
}

func (s *Server) command(name string, args ...string) *exec.Cmd {
	cmd := exec.Command(filepath.Join(s.bin, name), args...)
	cmd.Dir = "/"
	cmd.Env = append(os.Environ(), "LC_ALL=C.UTF-8")
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: s.account}
	return cmd
}

func (s *Server) run(t testing.TB, name string, args ...string) {
	t.Helper()
	out, err := s.command(name, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", name, err, out)
	}
}

// Restart starts a stopped server again, at the same address.
func (s *Server) Restart(t testing.TB) {
	t.Helper()
	s.Stop(t)
	_, port, _ := net.SplitHostPort(s.Address)
	dir := filepath.Dir(s.dir)
	s.process = s.command("postgres", "-D", s.dir, "-p", port, "-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories=",
		"-c", "ssl=on", "-c", "ssl_cert_file="+filepath.Join(dir, "cert.pem"), "-c", "ssl_key_file="+filepath.Join(dir, "key.pem"),
		"-c", "max_connections=100", "-c", "log_error_verbosity=verbose")
	s.process.Stdout, s.process.Stderr = s.log, s.log
	require.NoError(t, s.process.Start())
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		conn, err := pgx.Connect(ctx, s.URL("postgres"))
		if err == nil {
			s.Version = strings.Fields(conn.PgConn().ParameterStatus("server_version"))[0]
			conn.Close(ctx)
		}
		cancel()
		switch {
		case err == nil:
			return
		case time.Now().After(deadline):
			t.Fatalf("the server does not start: %v\n%s", err, s.Log(t))
		}
	}
}

// Stop shuts the server down in fast mode, which closes connections.
func (s *Server) Stop(t testing.TB) { s.signalAndWait(t, syscall.SIGINT) }

// Crash shuts the server down in immediate mode: what is not on the disk is lost.
func (s *Server) Crash(t testing.TB) { s.signalAndWait(t, syscall.SIGQUIT) }

func (s *Server) signalAndWait(t testing.TB, signal syscall.Signal) {
	t.Helper()
	if s.process == nil {
		return
	}
	require.NoError(t, s.process.Process.Signal(signal))
	s.process.Wait()
	s.process = nil
}

// Log returns the server's log.
func (s *Server) Log(t testing.TB) string {
	t.Helper()
	said, err := os.ReadFile(s.log.Name())
	require.NoError(t, err)
	return string(said)
}

// URL returns the address of a database, for its owner, without TLS.
func (s *Server) URL(database string) string {
	u := url.URL{Scheme: "postgres", User: url.UserPassword("postgres", password), Host: s.Address, Path: "/" + database, RawQuery: "sslmode=disable"}
	return u.String()
}

// Database creates an empty database and returns its address.
func (s *Server) Database(t testing.TB) string {
	t.Helper()
	name := fmt.Sprint("test", s.databases.Add(1))
	s.Exec(t, s.URL("postgres"), "CREATE DATABASE "+name)
	return s.URL(name)
}

// Exec runs statements, each in a transaction of its own.
func (s *Server) Exec(t testing.TB, address string, statements ...string) {
	t.Helper()
	ctx := context.Background()
	conn, err := pgx.Connect(ctx, address)
	require.NoError(t, err)
	defer conn.Close(ctx)
	for _, sql := range statements {
		_, err := conn.Exec(ctx, sql)
		require.NoError(t, err)
	}
}

// Dump returns the SQL that recreates a database.
func (s *Server) Dump(t testing.TB, address string) []byte {
	t.Helper()
	out, err := s.command("pg_dump", "--inserts", "--no-owner", "--no-privileges", "--dbname", address).Output()
	require.NoError(t, err)
	var script []byte
	for line := range bytes.Lines(out) {
		if !bytes.HasPrefix(line, []byte(`\`)) { // that is for psql
			script = append(script, line...)
		}
	}
	return script
}

// CPU returns the processor time that the server's running processes have used so far, 0 where
// the system does not provide it.
func (s *Server) CPU() (used time.Duration) {
	for _, fields := range s.procStats() {
		for _, ticks := range fields[11:13] { // user and system
			n, _ := strconv.Atoi(ticks)
			used += time.Duration(n) * time.Second / 100
		}
	}
	return used
}

// Processes returns the ids of the server's processes.
func (s *Server) Processes() (ids []int) {
	for id := range s.procStats() {
		ids = append(ids, id)
	}
	return ids
}

// procStats returns the fields of /proc/PID/stat from the state on, by process id.
func (s *Server) procStats() map[int][]string {
	all := map[int][]string{}
	stats, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, path := range stats {
		text, _ := os.ReadFile(path)
		before, after, _ := strings.Cut(string(text), " (postgres) ")
		fields := strings.Fields(after)
		id, err := strconv.Atoi(before)
		if err == nil && len(fields) >= 13 && (id == s.process.Process.Pid || fields[1] == strconv.Itoa(s.process.Process.Pid)) {
			all[id] = fields
		}
	}
	return all
}

// certify writes a self-signed certificate.
func (s *Server) certify(t testing.TB, dir string) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "localhost"}, DNSNames: []string{"localhost"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	require.NoError(t, err)
	private, err := x509.MarshalECPrivateKey(key)
	require.NoError(t, err)
	write := func(name, kind string, content []byte) string {
		var text bytes.Buffer
		require.NoError(t, pem.Encode(&text, &pem.Block{Type: kind, Bytes: content}))
		path := filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(path, text.Bytes(), 0o600))
		return path
	}
	write("key.pem", "EC PRIVATE KEY", private)
	return write("cert.pem", "CERTIFICATE", cert)
}
