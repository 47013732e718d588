package daemon

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"facteur/project"
	"facteur/server"
)

// listeners are where a daemon is reached: an address for the world, and a Unix socket for the
// commands of users who may read its data folder.
type listeners struct {
	tcp, socket net.Listener
	url         string // of tcp
	tls         *server.CertFiles
}

// openTCP listens at the address of a daemon.
func (d *Daemon) openTCP() error {
	loopback := server.IsLoopback(d.config.Listen)
	made, err := d.keys.FileExists()
	switch {
	case err != nil:
		return project.SystemError(err, "")
	case !made && !loopback:
		return project.UserError("create one with facteur keys create NAME, or listen on 127.0.0.1",
			"there is no API key, so anybody who can reach %s could send messages", d.config.Listen)
	}
	e := &listeners{}
	d.listeners = e
	scheme := "http"
	if d.config.TLSCert != "" {
		scheme = "https"
		if e.tls, err = server.LoadCert(d.config.TLSCert, d.config.TLSKey, d.log); err != nil {
			return project.UserError("", "%w", err)
		}
	}
	if e.tcp, err = Listen(d.config.Listen, "--listen"); err != nil {
		return err
	}
	d.closers = append(d.closers, func() { _ = e.tcp.Close() }) // it is closed already when all went well
	e.url = scheme + "://" + localAddress(e.tcp.Addr())
	switch {
	case !made && d.config.PublicURL == "":
		d.log.Warn("there is no API key: anybody on this machine can send messages", "hint", "facteur keys create NAME")
	case !made:
		d.log.Warn("there is no API key, so the API refuses every HTTP request: with a public URL, anybody could be asking", "hint", "facteur keys create NAME")
	}
	return nil
}

// maxSocketPath is what fits into the address of a Unix socket on all systems.
const maxSocketPath = 100

// openSocket listens for commands on this machine, and writes the endpoint. The data folder is
// locked, so a socket that is there is one of a daemon that died.
func (d *Daemon) openSocket() error {
	path := filepath.Join(d.dir, "daemon.sock")
	if len(path) > maxSocketPath {
		dir, err := os.MkdirTemp("", "facteur-")
		if err != nil {
			return project.SystemError(fmt.Errorf("the socket for commands: %w", err), "")
		}
		d.closers = append(d.closers, func() { _ = os.RemoveAll(dir) })
		path = filepath.Join(dir, "daemon.sock")
	}
	_ = os.Remove(path)
	e := d.listeners
	var err error
	if e.socket, err = net.Listen("unix", path); err == nil {
		err = os.Chmod(path, 0o600)
	}
	if err != nil {
		return project.SystemError(fmt.Errorf("the socket for commands: %w", err), "make sure that the data folder belongs to this user")
	}
	plate := filepath.Join(d.dir, endpointFile)
	d.closers = append(d.closers, func() {
		_ = e.socket.Close() // it is closed already when all went well
		_ = os.Remove(plate)
	})
	return Endpoint{PID: os.Getpid(), URL: e.url, Socket: path}.write(plate)
}

// Handler serves the API to callers with a key, and the webhooks. Requests that wait for a run's
// end are answered when stopping ends.
func (d *Daemon) Handler(stopping context.Context) http.Handler {
	o := d.serverOptions(stopping)
	o.Keys = d.keys
	// Behind a proxy all requests come from the loopback.
	o.Open = server.IsLoopback(d.config.Listen) && d.config.PublicURL == ""
	mux := server.New(o)
	d.mountWebhooks(mux)
	return mux
}

// socketHandler serves the API to commands of users who may read the data folder.
func (d *Daemon) socketHandler(stopping context.Context) http.Handler {
	o := d.serverOptions(stopping)
	o.Open = true
	return server.New(o)
}

// serverOptions are those that both handlers share.
func (d *Daemon) serverOptions(stopping context.Context) server.Options {
	return server.Options{
		Host:        settlingHost{d.host, d.ledger, d.actions.Action, d.sender},
		Flows:       d.flows,
		Connections: d.connections,
		Event:       d.actions.Event,
		Aliases:     d.aliases,
		Restore:     d.restore,
		Export:      d.opts.Export,
		Unreachable: d.engine.isUnreachable,
		Checks:      d.checks(),
		Metrics:     d.metrics,
		Log:         d.log,
		View:        d.view,
		Stopping:    stopping,
	}
}

// aliases returns all names of the subject of an event.
func (d *Daemon) aliases(ctx context.Context, kind, subject string) ([]string, error) {
	if kind != "whatsapp.message" {
		return []string{subject}, nil
	}
	return d.ledger.Contact(ctx, subject)
}

// localAddress is the address at which this machine reaches a listener, also one on all addresses.
func localAddress(a net.Addr) string {
	if tcp, ok := a.(*net.TCPAddr); ok && tcp.IP.IsUnspecified() {
		return net.JoinHostPort("127.0.0.1", strconv.Itoa(tcp.Port))
	}
	return a.String()
}

// publicURL is where the world reaches the daemon: the configured URL, else the listener's.
func (d *Daemon) publicURL() string {
	return strings.TrimSuffix(cmp.Or(d.config.PublicURL, d.listeners.url), "/")
}

// Listen listens at an address that a flag names. Its error is a project.Error.
func Listen(address, flag string) (net.Listener, error) {
	l, err := net.Listen("tcp", address)
	if err == nil {
		return l, nil
	}
	if of, ok := errors.AsType[*net.OpError](err); ok {
		err = of.Err
	}
	if of, ok := errors.AsType[*os.SyscallError](err); ok {
		err = of.Err
	}
	return nil, project.SystemError(fmt.Errorf("cannot listen on %s: %w", address, err), "choose another address with "+flag+", such as 127.0.0.1:0 for any port")
}
