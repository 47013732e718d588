package daemon

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"facteur/flow/temporal"
	"facteur/flow/trigger"
	"facteur/project"
	"facteur/server"
	"facteur/sqlitefile"
)

// A temporalEngine executes runs together with other daemons, over a Temporal server that stores
// them.
type temporalEngine struct {
	options temporal.Options // how to reach the server
	keyFile string           // of the vault: all daemons have the same
	host    *temporal.Host
}

func newTemporalEngine(p *project.Project) (*temporalEngine, error) {
	f := p.Temporal
	e := &temporalEngine{keyFile: cmp.Or(p.Abs(p.Vault.KeyFile), filepath.Join(p.Abs(p.Data), "vault.key"))}
	e.options = temporal.Options{
		Address:   cmp.Or(f.Address, os.Getenv("TEMPORAL_ADDRESS")),
		Namespace: cmp.Or(f.Namespace, os.Getenv("TEMPORAL_NAMESPACE")),
		Queue:     f.TaskQueue,
	}
	switch {
	case e.options.Address == "":
		return nil, project.UserError(`give its address: temporal: {address: "temporal.internal:7233"} in `+project.FileName+", or TEMPORAL_ADDRESS", "--engine temporal needs a Temporal server")
	case p.Ledger.Postgres == "":
		return nil, project.UserError(`give its database: ledger: {postgres: "postgres://facteur@db.internal/facteur"} in `+project.FileName+", or FACTEUR_LEDGER_POSTGRES; the password goes into PGPASSWORD",
			"--engine temporal needs a ledger in PostgreSQL: a webhook may reach any of the daemons, and all must know of it")
	}
	switch key := os.Getenv("TEMPORAL_API_KEY"); {
	case f.APIKeyFile != "":
		file := p.Abs(f.APIKeyFile)
		if _, err := readAPIKey(file); err != nil {
			return nil, project.UserError("", "temporal.api_key_file: %w", err)
		}
		e.options.APIKey = func(context.Context) (string, error) { return readAPIKey(file) }
	case key != "":
		e.options.APIKey = func(context.Context) (string, error) { return key, nil }
	}
	if f.TLS != nil {
		config, err := temporalTLS(p, f.TLS)
		if err != nil {
			return nil, err
		}
		e.options.TLS = config
	}
	return e, nil
}

// temporalTLS returns the TLS configuration by the project file.
func temporalTLS(p *project.Project, f *project.TemporalTLS) (*tls.Config, error) {
	config := &tls.Config{ServerName: f.ServerName, MinVersion: tls.VersionTLS12}
	if f.CACert != "" {
		text, err := os.ReadFile(p.Abs(f.CACert))
		if err != nil {
			return nil, project.UserError("", "temporal.tls.ca_cert: %w", err)
		}
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(text) {
			return nil, project.UserError("", "temporal.tls.ca_cert: %s contains no certificate in PEM format", f.CACert)
		}
	}
	if (f.Cert == "") != (f.Key == "") {
		return nil, project.UserError("give both cert and key", "temporal.tls: a certificate needs its key, and a key its certificate")
	}
	if f.Cert == "" {
		return config, nil
	}
	load := func() (*tls.Certificate, error) {
		pair, err := tls.LoadX509KeyPair(p.Abs(f.Cert), p.Abs(f.Key))
		return &pair, err
	}
	if _, err := load(); err != nil {
		return nil, project.UserError("", "temporal.tls: %w", err)
	}
	config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return load() }
	return config, nil
}

// readAPIKey reads an API key from its file, for each request: it may be replaced at any time.
func readAPIKey(path string) (string, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return "", err
	}
	if text = bytes.TrimSpace(text); len(text) == 0 {
		return "", fmt.Errorf("%s is empty", path)
	}
	return string(text), nil
}

// lock locks the folder against all daemons, whatever their engine: only one may have what is in
// it, such as the socket for commands.
func (e *temporalEngine) lock(d *Daemon) error {
	lock, err := sqlitefile.Lock(filepath.Join(d.dir, project.JournalName))
	if err != nil {
		return err
	}
	d.addCloser("lock", lock.Close)
	return nil
}

// hashSecretName is the name, on the server, of the key of all daemons' hashes.
const hashSecretName = "hash-key"

func (e *temporalEngine) open(ctx context.Context, d *Daemon, w hooks) (stoppableHost, error) {
	o := e.options
	o.Log, o.Seal, o.Open = d.log, d.vault.Seal, d.vault.Open
	fresh := make([]byte, 32)
	rand.Read(fresh)
	key, err := temporal.Secret(ctx, o, hashSecretName, fresh)
	if err != nil {
		return nil, e.explain(err)
	}
	o.Do, o.Catalog, o.Restore, o.Receipts, o.Workers = w.do, d.actions, d.restore, true, d.config.Workers
	o.Hash, o.Contact, o.Past, o.Ready, o.Fire = keyedHash(key), project.ContactOf(d.actions), d.ledger.Receipts, d.ready, d.starter.Fire
	o.Meet = d.starter.Meet
	o.OnStep, o.OnEnd, o.OnHold, o.Panicked, o.Hard = w.onStep, w.onEnd, d.held, d.panicked, w.hard
	if e.host, err = temporal.Open(ctx, o); err != nil {
		return nil, e.explain(err)
	}
	return e.host, nil
}

// explain adds a hint to an error of the server.
func (e *temporalEngine) explain(err error) error {
	if _, other := errors.AsType[*temporal.KeyError](err); other {
		return project.SystemError(err, "all daemons must have the same key: copy the key file of a working daemon to "+project.RelPath(e.keyFile)+", or name a shared one with key_file under vault: in "+project.FileName)
	}
	hint := ""
	if said, ok := errors.AsType[*temporal.ServerError](err); ok {
		hint = said.Hint
	}
	return project.SystemError(err, hint)
}

// notes implements engine. The host stores the state of schedules itself.
func (e *temporalEngine) notes() trigger.Notes { return nil }

func (e *temporalEngine) check() server.Check {
	return server.Check{Name: "temporal", Do: e.host.Healthy}
}

func (e *temporalEngine) broken() error { return e.host.Broken() }

// complete implements engine. Operators of the server can reset a run, whose history then lacks
// what came after that point.
func (e *temporalEngine) complete() bool { return false }

func (e *temporalEngine) isUnreachable(err error) bool { return temporal.IsUnavailable(err) }

// prune implements engine. The server deletes runs itself, by the retention of the namespace.
func (e *temporalEngine) prune(context.Context, time.Time, int) (int, error) { return 0, nil }
